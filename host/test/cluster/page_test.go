package main

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestPage runs deploy/README.md, block by block, as one who reads it would.
func TestPage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 8 {
		t.Fatalf("it has %d blocks of commands", len(blocks))
	}
	for _, block := range blocks {
		if output, err := try(t, block[1]); err != nil {
			t.Fatalf("%s: %v\n%s", block[1], err, output)
		}
	}
}
