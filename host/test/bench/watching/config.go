package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/wasmloop/wasmloop/host/test/bench/contest"
)

// The controllers that the host is measured with, without name and module.
const (
	// reconciled has ConfigMaps reconciled by a module that wants nothing.
	reconciled = `  for: {apiVersion: v1, kind: ConfigMap}`
	// cached has ConfigMaps watched as children of objects that have none.
	cached = `  for: {apiVersion: view.example.com/v1, kind: MarkdownView}
  owns: [{apiVersion: v1, kind: ConfigMap}]`
	// labelled and metadata have just a part of them watched.
	labelled = `  for: {apiVersion: v1, kind: ConfigMap, fields: [metadata.labels]}`
	metadata = `  for: {apiVersion: v1, kind: ConfigMap, metadataOnly: true}`
	// resynced is reconciled with a resync.
	resynced = `  for: {apiVersion: v1, kind: ConfigMap}
  resync: %s`
	// sharing has one child for each object, and one related object for all. The module does not look at the child's data,
	// which would have it called once more to see what it has asked for.
	sharing = `  for: {apiVersion: view.example.com/v1, kind: MarkdownView}
  owns: [{apiVersion: v1, kind: ConfigMap, ignore: [data]}]
  related: {rules: [{apiVersion: v1, kind: ConfigMap, names: [shared]}]}`
	// unseen has Pods reconciled by a module that does not see their status.
	unseen = `  for: {apiVersion: v1, kind: Pod, ignore: [status]}`
)

// host returns the host with a controller. What it keeps goes with the control plane.
func (b *bench) host(plane *contest.Plane, name, controller string) (contest.Contender, error) {
	dir, err := os.MkdirTemp(plane.Dir, "host-")
	if err != nil {
		return contest.Contender{}, err
	}
	config := filepath.Join(dir, "config.yaml")
	text := fmt.Sprintf(`apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  follower: {source: %q}
controllers:
- name: bench
  module: follower
%s
`, "file://"+filepath.Join(b.bin, "follower.wasm"), controller)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return contest.Contender{}, err
	}
	c := contest.Host(name, b.bin, config, filepath.Join(dir, "cache"))
	// What is looked for once, a minute after the start, is no part of what is measured.
	c.Args = append(slices.Clip(c.Args), "--report-leftovers=false")
	return c, nil
}
