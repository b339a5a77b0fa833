package kube

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

var configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}

// exported lets cmp compare all there is of an object.
var exported = cmp.Exporter(func(reflect.Type) bool { return true })

func TestParse(t *testing.T) {
	named := func(json string) *Object {
		return &Object{Kind: configMapKind, NamespacedName: types.NamespacedName{Name: "a"}, JSON: []byte(json)}
	}
	tests := map[string]struct {
		reason string
		text   string
		want   *Object
	}{
		"all that is read": {
			reason: "the host decides by these fields; the module sees them all but the version",
			text: `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"a","namespace":"n","uid":"u","resourceVersion":"7",` +
				`"generation":3,"deletionTimestamp":"2026-01-02T12:00:00Z","finalizers":["f","g"],"ownerReferences":[` +
				`{"apiVersion":"x/v1","kind":"K","name":"o","uid":"1","controller":true,"blockOwnerDeletion":true},` +
				`{"apiVersion":"v1","kind":"L","name":"p","uid":"2"}]},"spec":{"replicas":1},"status":{}}`,
			want: &Object{
				Kind:           schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"},
				NamespacedName: types.NamespacedName{Namespace: "n", Name: "a"},
				UID:            "u", ResourceVersion: "7", Generation: 3, Deleting: true, Finalizers: []string{"f", "g"},
				Owners: []Owner{
					{APIVersion: "x/v1", Kind: "K", Name: "o", UID: "1", Controller: true}, {APIVersion: "v1", Kind: "L", Name: "p", UID: "2"},
				},
				JSON: []byte(`{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"n","uid":"u","generation":3,` +
					`"deletionTimestamp":"2026-01-02T12:00:00Z","finalizers":["f","g"],"ownerReferences":[` +
					`{"apiVersion":"x/v1","kind":"K","name":"o","uid":"1","controller":true,"blockOwnerDeletion":true},` +
					`{"apiVersion":"v1","kind":"L","name":"p","uid":"2"}]},"spec":{"replicas":1},"status":{}}`),
			},
		},
		"item of a list": {
			reason: "of built-in kinds it does not say what it is",
			text:   `{"metadata":{"name":"a"},"data":{}}`,
			want:   named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{}}`),
		},
		"half a kind": {
			reason: "it says no more than none",
			text:   `{"kind":"Secret","metadata":{"name":"a"}}`,
			want:   named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`),
		},
		"order of the fields": {
			reason: "that of the API server stays, but that kind and metadata come first and annotations last in theirs",
			text:   `{"z":1,"metadata":{"annotations":{"b":"1","a":"2"},"name":"a","labels":{"d":"","c":""}},"a":{"y":1,"x":2}}`,
			want:   named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","labels":{"d":"","c":""},"annotations":{"b":"1","a":"2"}},"z":1,"a":{"y":1,"x":2}}`),
		},
		"spaces": {
			reason: "they are between what is kept, or a part of it",
			text:   "{\n \"metadata\": {\n  \"name\": \"a\",\n  \"resourceVersion\": \"7\",\n  \"annotations\": { \"b\": \"1\" }\n },\n \"data\": {\n  \"k\": \"v\"\n }\n}\n",
			want: func() *Object {
				o := named("{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"a\",\"annotations\":{\"b\":\"1\"}},\"data\":{\n  \"k\": \"v\"\n }}")
				o.ResourceVersion = "7"
				return o
			}(),
		},
		"the host's annotations": {
			reason: "a module must not see a hash of its own answer",
			text:   `{"metadata":{"name":"a","annotations":{"a":"1","wasmloop.dev/owned-by":"c/u/ConfigMap//a","b":"2","wasmloop.dev/applied":"h"}}}`,
			want: func() *Object {
				o := named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"a":"1","b":"2"}}}`)
				o.marks = []mark{{"wasmloop.dev/owned-by", "c/u/ConfigMap//a"}, {"wasmloop.dev/applied", "h"}}
				return o
			}(),
		},
		"the host's annotations alone": {
			reason: "there must be no difference between a child before and after it has them",
			text:   `{"metadata":{"name":"a","annotations":{"wasmloop.dev/applied":"h"}}}`,
			want: func() *Object {
				o := named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)
				o.marks = []mark{{"wasmloop.dev/applied", "h"}}
				return o
			}(),
		},
		"nulls": {
			reason: "a field without a value is as good as none",
			text:   `{"metadata":{"name":"a","annotations":null,"ownerReferences":null,"finalizers":null,"deletionTimestamp":null,"managedFields":null},"data":null}`,
			want:   named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","ownerReferences":null,"finalizers":null,"deletionTimestamp":null},"data":null}`),
		},
		"escapes": {
			reason: "what a name means counts, not how it is written",
			text:   `{"m\u0065tadata":{"name":"\u0061","annotations":{"w\u0061smloop.dev/applied":"\"\u00e9","\u003c":"\ud83d\ude00"}}}`,
			want: func() *Object {
				o := named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\u0061","annotations":{"\u003c":"\ud83d\ude00"}}}`)
				o.marks = []mark{{"wasmloop.dev/applied", `"é`}}
				return o
			}(),
		},
		"managedFields": {
			reason: "only what the host's own managers own by Apply tells it anything",
			text: `{"metadata":{"name":"a","managedFields":[{"manager":"kubectl","operation":"Apply","fieldsV1":{"f:a":{}}},` +
				`{"manager":"wasmloop/c","operation":"Apply","apiVersion":"v1","time":"2026-01-02T12:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:data":{"f:k":{}}}},` +
				`{"manager":"wasmloop/c","operation":"Update","fieldsV1":{"f:b":{}}},{"manager":"wasmloop/c","fieldsV1":{"f:b":{}}},null,{},` +
				`{"manager":"wasmloop/c","operation":"Apply","subresource":"status","fieldsV1":{"f:status":{}}},` +
				`{"manager":"wasmloop","operation":"Apply","fieldsV1":{"f:c":{}}}]}}`,
			want: func() *Object {
				o := named(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}`)
				o.entries = []entry{
					{"wasmloop/c", "", []byte(`{"f:data":{"f:k":{}}}`)}, {"wasmloop/c", "status", []byte(`{"f:status":{}}`)},
				}
				return o
			}(),
		},
		"no metadata": {
			reason: "whatever it is, reading it does no harm",
			text:   `{"a":1}`,
			want:   &Object{Kind: configMapKind, JSON: []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{},"a":1}`)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			data := []byte(tt.text)
			got, err := Parse(data, configMapKind)
			if err != nil {
				t.Fatal(err)
			}
			clear(data)
			if diff := cmp.Diff(tt.want, got, exported, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Errorf("%s, and nothing of the data is kept: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestParseFaults(t *testing.T) {
	tests := map[string]struct{ reason, text string }{
		"no object":             {"an object is one", `[]`},
		"nothing":               {"an answer that broke off says nothing", ``},
		"cut off":               {"half an object could be taken for another one", `{"metadata":{"name":"a"}`},
		"two objects":           {"which is meant?", `{} {}`},
		"metadata of no object": {"whose is it?", `{"metadata":[]}`},
		"name of no string":     {"it could not be found again", `{"metadata":{"name":1}}`},
		"name that breaks off":  {"it could not be found again", `{"metadata":{"name":"\u00"}}`},
		"generation, a string":  {"it is counted", `{"metadata":{"generation":"1"}}`},
		"generation, no JSON":   {"what modules see of it must be a number", `{"metadata":{"generation":007}}`},
		"generation, with plus": {"what modules see of it must be a number", `{"metadata":{"generation":+5}}`},
		"annotation, a number":  {"annotations are strings", `{"metadata":{"annotations":{"wasmloop.dev/applied":1}}}`},
		"owners of no list":     {"an owner could be overlooked", `{"metadata":{"ownerReferences":{}}}`},
		"entries of no list":    {"fields could be taken for lost", `{"metadata":{"managedFields":{"manager":"wasmloop/c"}}}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse([]byte(tt.text), configMapKind); err == nil {
				t.Errorf("%s: got %+v, want an error", tt.reason, got)
			}
		})
	}
}

// FuzzParse compares Parse with a decode through encoding/json.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{}`,
		`{"kind":"Part","apiVersion":"kube.test/v1","metadata":{"name":"a","namespace":"b","uid":"c","resourceVersion":"1","generation":2},"spec":{}}`,
		`{"metadata":{"annotations":{"wasmloop.dev/applied":"h","x":"\"<"},"labels":{"a":"b"},"deletionTimestamp":null,"finalizers":["f"]},"x":[1,{"y":"]}"}]}`,
		`{"metadata":{"managedFields":[{"manager":"wasmloop/c","operation":"Apply","fieldsV1":{"f:a":{"k:{\"n\":1}":{}}}}],` +
			`"ownerReferences":[{"uid":"u","controller":true}]}}`,
		" {\t\"\\u0061\" : 1e3 ,\n\"kind\" : \"\\u003c\\\"\" , \"apiVersion\":\"a/b\" }\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		want, ok := decode(data)
		if !ok {
			_, _ = Parse(data, configMapKind) // it may say anything, but it must not panic
			return
		}
		got, err := Parse(data, configMapKind)
		if err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if diff := cmp.Diff(want.object, got, exported, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Object{}, "JSON")); diff != "" {
			t.Errorf("%s: -want +got:\n%s", data, diff)
		}
		var shown any
		if err := json.Unmarshal(got.JSON, &shown); err != nil {
			t.Fatalf("%s: it shows %s: %v", data, got.JSON, err)
		}
		if diff := cmp.Diff(any(want.shown), shown); diff != "" {
			t.Errorf("%s: what modules see: -want +got:\n%s", data, diff)
		}
		if again, err := Parse(got.JSON, schema.GroupVersionKind{}); err != nil || !bytes.Equal(again.JSON, got.JSON) {
			t.Errorf("%s: read again: %s, %v; want %s", data, again.JSON, err, got.JSON)
		}
	})
}

// decoded is an object as encoding/json and no cleverness have it.
type decoded struct {
	object *Object
	shown  map[string]any
}

// decode returns false for what no API server answers with: what is no object, names a field twice, has a kind that is
// none, or metadata that are of another type.
func decode(data []byte) (decoded, bool) {
	fields, ok := unique(data)
	if !ok || !utf8.Valid(data) {
		return decoded{}, false
	}
	d := decoded{object: &Object{Kind: configMapKind}, shown: map[string]any{"metadata": map[string]any{}}}
	if json.Unmarshal(data, &d.shown) != nil || !d.kind(fields) {
		return decoded{}, false
	}
	if fields["metadata"] == nil {
		d.shown["metadata"] = map[string]any{}
		return d, true
	}
	metadata, ok := unique(fields["metadata"])
	return d, ok && d.metadata(metadata)
}

// unique returns the fields of an object, if none is there twice.
func unique(data []byte) (fields map[string]json.RawMessage, ok bool) {
	if json.Unmarshal(data, &fields) != nil || fields == nil {
		return nil, false
	}
	count := 0
	err := abi.Fields(data, func(string, json.RawMessage) error {
		count++
		return nil
	})
	return fields, err == nil && count == len(fields)
}

func (d *decoded) kind(fields map[string]json.RawMessage) bool {
	var apiVersion, kind string
	if !into(fields["apiVersion"], &apiVersion) || !into(fields["kind"], &kind) {
		return false
	}
	if apiVersion != "" && kind != "" {
		d.object.Kind = schema.FromAPIVersionAndKind(apiVersion, kind)
	}
	d.shown["apiVersion"], d.shown["kind"] = d.object.Kind.GroupVersion().String(), d.object.Kind.Kind
	return d.object.Kind.Version != "" && (apiVersion == "" || kind == "" || d.shown["apiVersion"] == apiVersion)
}

// into decodes a field, if it is there.
func into(data json.RawMessage, target any) bool {
	return data == nil || json.Unmarshal(data, target) == nil
}

func (d *decoded) metadata(fields map[string]json.RawMessage) bool {
	o := d.object
	if !into(fields["name"], &o.Name) || !into(fields["namespace"], &o.Namespace) || !into(fields["uid"], &o.UID) ||
		!into(fields["resourceVersion"], &o.ResourceVersion) || !into(fields["generation"], &o.Generation) ||
		!into(fields["finalizers"], &o.Finalizers) || !into(fields["ownerReferences"], &o.Owners) {
		return false
	}
	deleted, ok := fields["deletionTimestamp"]
	o.Deleting = ok && string(deleted) != "null"
	shown := d.shown["metadata"].(map[string]any)
	delete(shown, "resourceVersion")
	delete(shown, "managedFields")
	return d.annotations(fields["annotations"], shown) && d.managedFields(fields["managedFields"])
}

func (d *decoded) annotations(data json.RawMessage, shown map[string]any) bool {
	if data == nil || string(data) == "null" {
		delete(shown, "annotations")
		return true
	}
	if _, ok := unique(data); !ok {
		return false
	}
	annotations := shown["annotations"].(map[string]any)
	err := abi.Fields(data, func(key string, value json.RawMessage) error {
		var content string
		if !strings.HasPrefix(key, abi.HostPrefix) {
			return nil
		}
		delete(annotations, key)
		err := json.Unmarshal(value, &content)
		d.object.marks = append(d.object.marks, mark{key, content})
		return err
	})
	if len(annotations) == 0 {
		delete(shown, "annotations")
	}
	return err == nil
}

func (d *decoded) managedFields(data json.RawMessage) bool {
	var entries []struct {
		Manager, Operation, Subresource string
		FieldsV1                        json.RawMessage
	}
	if !into(data, &entries) {
		return false
	}
	for _, e := range entries {
		if !bytes.Contains(data, []byte(`"`+ManagerPrefix)) && strings.HasPrefix(e.Manager, ManagerPrefix) {
			return false // no API server writes it with escapes
		}
		if strings.HasPrefix(e.Manager, ManagerPrefix) && e.Operation == "Apply" {
			d.object.entries = append(d.object.entries, entry{e.Manager, e.Subresource, e.FieldsV1})
		}
	}
	return true
}
