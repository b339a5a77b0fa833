//go:build !linux

package main

// endWithParent does nothing where the kernel has no parent-death signal: there a killed parent leaves its servers behind.
func endWithParent() error { return nil }
