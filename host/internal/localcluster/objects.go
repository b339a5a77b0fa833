package localcluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// crdManager is the field manager of installed CRDs.
const crdManager = "wasmloop-crds"

// Apply applies the objects in the files with server-side apply, in the order of paths and documents, and returns them as
// the server has them. A folder stands for its .yaml, .yml and .json files in the order of their names. Conflicts
// are forced; a namespaced object without a namespace goes to the namespace default. It stops at the first error.
func Apply(ctx context.Context, config *rest.Config, fieldManager string, paths ...string) ([]*unstructured.Unstructured, error) {
	objects, err := readObjects(paths)
	if err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("cannot make a client: %w", err)
	}
	for _, object := range objects {
		if err := apply(ctx, c, fieldManager, object); err != nil {
			return nil, fmt.Errorf("cannot apply %s: %w", describe(object), err)
		}
	}
	return objects, nil
}

// InstallCRDs applies the CustomResourceDefinitions in the files and folders, as Apply does, and waits until the server
// serves every version of them. Other objects there are left out.
func InstallCRDs(ctx context.Context, config *rest.Config, paths ...string) error {
	objects, err := readObjects(paths)
	if err != nil {
		return err
	}
	c, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	objects = slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() != "CustomResourceDefinition" })
	for _, crd := range objects {
		if err := apply(ctx, c, crdManager, crd); err != nil {
			return fmt.Errorf("cannot install %s: %w", describe(crd), err)
		}
	}
	for _, crd := range objects {
		if err := waitUntilServed(ctx, c, crd); err != nil {
			return fmt.Errorf("cannot wait for %s to be served: %w", describe(crd), err)
		}
	}
	return nil
}

func apply(ctx context.Context, c client.Client, fieldManager string, object *unstructured.Unstructured) error {
	namespaced, err := c.IsObjectNamespaced(object)
	if err != nil {
		return err
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace(metav1.NamespaceDefault)
	}
	return c.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldManager), client.ForceOwnership)
}

// waitUntilServed waits until discovery names each served version: the condition Established comes a moment before.
func waitUntilServed(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	var crd apiextensionsv1.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &crd); err != nil {
		return err
	}
	kind := schema.GroupKind{Group: crd.Spec.Group, Kind: crd.Spec.Names.Kind}
	for _, version := range crd.Spec.Versions {
		if !version.Served {
			continue
		}
		err := wait.PollUntilContextTimeout(ctx, pollInterval, startTimeout, true, func(context.Context) (bool, error) {
			_, err := c.RESTMapper().RESTMapping(kind, version.Name)
			if meta.IsNoMatchError(err) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readObjects(paths []string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, path := range paths {
		files, err := objectFiles(path)
		if err != nil {
			return nil, fmt.Errorf("cannot find objects: %w", err)
		}
		for _, file := range files {
			found, err := readFile(file)
			if err != nil {
				return nil, fmt.Errorf("cannot read objects from %s: %w", file, err)
			}
			objects = append(objects, found...)
		}
	}
	return objects, nil
}

// objectFiles returns path itself or, when it is a folder, the files in it that may hold objects.
func objectFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(entry.Name())) && !entry.IsDir() {
			files = append(files, filepath.Join(path, entry.Name()))
		}
	}
	return files, nil
}

func readFile(path string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for number := 1; ; number++ {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		object, err := parse(document)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", number, err)
		}
		if object != nil {
			objects = append(objects, object)
		}
	}
}

// parse returns nil for a document with nothing but comments in it.
func parse(document []byte) (*unstructured.Unstructured, error) {
	json, err := yaml.YAMLToJSONStrict(document)
	if err != nil || string(json) == "null" {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, object.UnmarshalJSON(json)
}

func describe(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return fmt.Sprintf("%s %s", object.GetKind(), object.GetName())
	}
	return fmt.Sprintf("%s %s/%s", object.GetKind(), object.GetNamespace(), object.GetName())
}
