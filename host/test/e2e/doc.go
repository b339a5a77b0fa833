// Package e2e tests the host as its users run it: the built binary as a process of its own, against a real control
// plane, with modules that are well-behaved and modules that are not.
package e2e
