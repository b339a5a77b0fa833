package render

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Decode decodes the objects of a YAML or JSON file of any number of documents. Lists are taken apart. name stands for the
// file in errors.
func Decode(name string, data []byte) ([]Object, error) {
	var objects []Object
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read %s: %w", name, err)
		}
		decoded, err := decodeDocument(document)
		if err != nil {
			return nil, fmt.Errorf("document %d of %s %w", number, name, err)
		}
		objects = append(objects, decoded...)
	}
}

func decodeDocument(document []byte) ([]Object, error) {
	encoded, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("is not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var value any
	if err := utiljson.Unmarshal(encoded, &value); err != nil {
		return nil, fmt.Errorf("is not YAML: %w", err)
	}
	if value == nil { // nothing but comments
		return nil, nil
	}
	content, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("is not an object")
	}
	object := &unstructured.Unstructured{Object: content}
	if object.IsList() {
		return itemsOf(object)
	}
	return []Object{object}, checkObject(object)
}

func itemsOf(list Object) (objects []Object, err error) {
	for _, item := range list.Object["items"].([]any) {
		content, _ := item.(map[string]any)
		object := &unstructured.Unstructured{Object: content}
		if err := checkObject(object); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	return objects, nil
}

// checkObject refuses what cannot be told apart from others.
func checkObject(object Object) error {
	for _, required := range []struct {
		name string
		path []string
	}{{"apiVersion", []string{"apiVersion"}}, {"kind", []string{"kind"}}, {"metadata.name", []string{"metadata", "name"}}} {
		value, _, err := unstructured.NestedString(object.Object, required.path...)
		if err != nil {
			return fmt.Errorf("is no Kubernetes object: %s is not a string", required.name)
		}
		if value == "" {
			return fmt.Errorf("is no Kubernetes object: it has no %s", required.name)
		}
	}
	if _, _, err := unstructured.NestedString(object.Object, "metadata", "namespace"); err != nil {
		return errors.New("is no Kubernetes object: metadata.namespace is not a string; names like n, yes or 1 need quotes")
	}
	return nil
}

// Encode writes documents as YAML.
func Encode(documents []map[string]any) ([]byte, error) {
	type one struct {
		document map[string]any
		text     []byte
		err      error
	}
	all := make([]*one, len(documents))
	for i, document := range documents {
		all[i] = &one{document: document}
	}
	inParallel(all, func(o *one) { o.text, o.err = yaml.Marshal(o.document) })
	var text bytes.Buffer
	for i, o := range all {
		if o.err != nil {
			return nil, o.err
		}
		if i > 0 {
			text.WriteString("---\n")
		}
		text.Write(o.text)
	}
	return text.Bytes(), nil
}

// DecodeAny decodes the documents of a YAML file, whatever they are.
func DecodeAny(data []byte) (documents []map[string]any, err error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, err
		}
		encoded, err := yaml.YAMLToJSONStrict(text)
		if err != nil {
			return nil, err
		}
		var document map[string]any
		if err := utiljson.Unmarshal(encoded, &document); err != nil {
			return nil, err
		}
		if document != nil {
			documents = append(documents, document)
		}
	}
}
