// Package golden runs the cases of a module's testdata: folders with objects and with what the module must want for them.
//
// A case is a folder with object.yaml and any number of observed*.yaml, as wasmloop render takes them, and with want.yaml: what
// it prints. Or it has steps.yaml: changes of the cluster, with what must hold after each.
package golden

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/wasmloop/wasmloop/host/internal/render"
)

// The files of a case.
const (
	objectFile = "object.yaml"
	wantFile   = "want.yaml"
	stepsFile  = "steps.yaml"
)

// Case is one case.
type Case struct {
	// Name is that of its folder.
	Name   string
	folder string
	// object is nil if steps create what is reconciled.
	object   render.Object
	observed []render.Object
	steps    []step // nil: there are none
}

// Result is what came of a case.
type Result struct {
	Name string
	// Failure says what is not as it must be; empty if all is.
	Failure string
	// Updated is true if the wanted file was written anew.
	Updated bool
	// Calls are the calls of the module, Took is the time that the case took.
	Calls int
	Took  time.Duration
}

// Find returns the cases in a folder, in the order of their names.
func Find(folder string) ([]*Case, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("cannot read the cases: %w", err)
	}
	var cases []*Case
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		if !entry.IsDir() || !exists(path, objectFile) && !exists(path, stepsFile) {
			continue
		}
		found, err := read(path)
		if err != nil {
			return nil, err
		}
		cases = append(cases, found)
	}
	return cases, nil
}

func exists(folder, name string) bool {
	_, err := os.Stat(filepath.Join(folder, name))
	return err == nil
}

func read(folder string) (c *Case, err error) {
	c = &Case{Name: filepath.Base(folder), folder: folder}
	if exists(folder, objectFile) {
		objects, err := decodeFile(filepath.Join(folder, objectFile))
		if err != nil {
			return nil, err
		}
		if len(objects) != 1 {
			return nil, fmt.Errorf("%s has %d objects, and one is reconciled: the others belong into observed.yaml",
				filepath.Join(folder, objectFile), len(objects))
		}
		c.object = objects[0]
	}
	files, _ := filepath.Glob(filepath.Join(folder, "observed*.yaml")) // which fails only for another pattern
	for _, file := range files {
		objects, err := decodeFile(file)
		if err != nil {
			return nil, err
		}
		c.observed = append(c.observed, objects...)
	}
	if exists(folder, stepsFile) {
		c.steps, err = readSteps(filepath.Join(folder, stepsFile))
	}
	return c, err
}

func decodeFile(path string) ([]render.Object, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the case: %w", err)
	}
	return render.Decode(path, data)
}

// Object returns an object of the kind that is reconciled.
func (c *Case) Object() render.Object {
	if c.object != nil {
		return c.object
	}
	for _, each := range c.steps {
		if len(each.apply) > 0 {
			return each.apply[0]
		}
	}
	return nil
}

// Run runs the case, with a module and what an input says of its controller. With update the wanted file is written anew where it
// is not what came of the case. Errors say what is wrong with the case itself.
func (c *Case) Run(ctx context.Context, input render.Input, update bool) (*Result, error) {
	began := time.Now()
	result := &Result{Name: c.Name}
	var err error
	if c.steps != nil {
		err = c.runSteps(ctx, input, result)
	} else {
		err = c.runOnce(ctx, input, update, result)
	}
	if err != nil {
		return nil, fmt.Errorf("case %s: %w", c.Name, err)
	}
	result.Took = time.Since(began)
	return result, nil
}

func (c *Case) runOnce(ctx context.Context, input render.Input, update bool, result *Result) error {
	input.Only, input.Objects = c.object, append(slices.Clone(input.Objects), c.observed...)
	cluster, err := render.Run(ctx, input, func(string) {})
	if err != nil {
		return err
	}
	got := []byte{}
	for _, outcome := range cluster.Outcomes() {
		result.Calls += outcome.Calls
		if got, err = render.Encode(cluster.Result(outcome).Documents()); err != nil {
			return err
		}
	}
	path := filepath.Join(c.folder, wantFile)
	want, err := os.ReadFile(path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return err
	}
	switch same, err := sameDocuments(want, got); {
	case err != nil && !update:
		return fmt.Errorf("%s: %w", path, err)
	case same && !missing:
		return nil
	case update:
		result.Updated = true
		return os.WriteFile(path, got, 0o644) //nolint:gosec // it is source, which all may read
	case missing:
		result.Failure = "there is no " + wantFile + "; --update writes what came of the case\n"
		return nil
	}
	_, result.Failure, _ = strings.Cut(string(diff.Diff("want", normal(want), "got", got)), "\n")
	return nil
}

// sameDocuments compares documents by what they say, not by how it is written.
func sameDocuments(a, b []byte) (bool, error) {
	one, err := render.DecodeAny(a)
	if err != nil {
		return false, err
	}
	other, err := render.DecodeAny(b)
	return err == nil && reflect.DeepEqual(one, other), err
}

// normal writes documents as they would be written here.
func normal(text []byte) []byte {
	documents, err := render.DecodeAny(text)
	if err != nil {
		return text
	}
	if normal, err := render.Encode(documents); err == nil {
		return normal
	}
	return text
}
