package cli

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReference holds the reference in the repository to the commands.
func TestReference(t *testing.T) {
	got, err := os.ReadFile("../../COMMANDS.md")
	if err != nil {
		t.Fatal(err)
	}
	want := run(t, nil, "docs")
	if diff := cmp.Diff(want.Stdout, string(got)); diff != "" {
		t.Errorf("run make generate: -commands +file:\n%s", diff)
	}
}

// TestSDKGo holds what a new module asks for to what the SDK needs.
func TestSDKGo(t *testing.T) {
	text, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(text)
	if match == nil || string(match[1]) != sdkGo {
		t.Errorf("go.mod says %s, and a new module %s", match, sdkGo)
	}
}

// TestExplainAll asks for each field by its path, so that nothing in the schema is passed over.
func TestExplainAll(t *testing.T) {
	root, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	var visit func(field *configField)
	visit = func(field *configField) {
		for _, child := range field.children() {
			count++
			for _, path := range []string{child.path, plainPath(child.path)} {
				found, err := root.find(path)
				if err != nil || found.path != child.path {
					t.Errorf("%s: got %v, %v", path, found, err)
				}
			}
			if child.description() == "" || child.typeName() == "" {
				t.Errorf("%s has the type %q and the description %q", child.path, child.typeName(), child.description())
			}
			visit(child)
		}
	}
	visit(&configField{schema: root})
	if count < 60 {
		t.Errorf("only %d fields were found", count)
	}
}
