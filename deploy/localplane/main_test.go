package main

import (
	"bytes"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestMain makes the test binary a localplane with the components in testComponents, when it is called as one of them.
func TestMain(m *testing.M) {
	maps.Copy(components, testComponents)
	if name, _ := component(os.Args); testComponents[name] != nil {
		os.Exit(doMain(os.Stderr))
	}
	os.Exit(m.Run())
}

func TestComponent(t *testing.T) {
	tests := map[string]struct {
		argv []string
		name string
		args []string
	}{
		"by link":                       {[]string{"bin/assets/etcd", "--version"}, "etcd", []string{"bin/assets/etcd", "--version"}},
		"by first argument":             {[]string{"localplane", "kube-apiserver", "-v=2"}, "kube-apiserver", []string{"kube-apiserver", "-v=2"}},
		"a link wins over an argument":  {[]string{"etcd", "kube-apiserver"}, "etcd", []string{"etcd", "kube-apiserver"}},
		"an unknown one is still named": {[]string{"localplane", "kine"}, "kine", []string{"kine"}},
		"no argument":                   {[]string{"localplane"}, "localplane", []string{"localplane"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			name, args := component(tc.argv)
			if name != tc.name || !slices.Equal(args, tc.args) {
				t.Errorf("got %q %q, want %q %q", name, args, tc.name, tc.args)
			}
		})
	}
}

// A mistyped name must say which there are.
func TestUnknownComponent(t *testing.T) {
	before := os.Args
	t.Cleanup(func() { os.Args = before })
	os.Args = []string{"localplane", "kine"}

	var stderr bytes.Buffer
	if code := doMain(&stderr); code != 2 {
		t.Errorf("got exit code %d, want 2", code)
	}
	for _, name := range []string{"kine", "etcd", "kube-apiserver", "kube-controller-manager"} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("the message does not name %s: %s", name, stderr.String())
		}
	}
}

// testComponents are what other test files add for the tests in them.
var testComponents = map[string]func() int{}
