package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's module does what the README says of it: code and config are taken from there.
func TestReadmeModule(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), block(t, string(readme), "go"))
	if err := goBuild([]string{"GOOS=wasip1", "GOARCH=wasm"}, "hello.wasm", filepath.Join(dir, "main.go"), "-buildmode=c-shared"); err != nil {
		t.Fatal(err)
	}
	config := "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\n" + block(t, string(readme), "yaml")
	config = strings.Replace(config, "file://../modules/hello/", "file://"+built+"/", 1)
	write(t, filepath.Join(dir, "config.yaml"), config)
	h, err := startHost(hostOptions{config: filepath.Join(dir, "config.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Stop(); err != nil {
			t.Errorf("the host ends with %v\n%s", err, h.Log())
		}
	})
	namespace := newNamespace(t)
	waitFor(t, "v1", "ConfigMap", namespace, "greeting", field("Hello, "+namespace, "data", "text"))
}

// block returns the first code block of a language, without the indent of the list that it may stand in.
func block(t *testing.T, markdown, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?ms)^( *)```" + language + "\n(.*?)^ *```").FindStringSubmatch(markdown)
	if found == nil {
		t.Fatalf("the README has no %s block", language)
	}
	return regexp.MustCompile("(?m)^"+found[1]).ReplaceAllString(found[2], "")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
