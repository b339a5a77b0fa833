package config

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// header begins the files of cases that are about what follows. Its lines are the first four.
const header = `apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  m: {source: "file://m.wasm"}
`

// controller is an entry without faults, without its last line's end.
const controller = `- {name: c, module: m, for: {apiVersion: v1, kind: Pod}}`

func TestParseFaults(t *testing.T) {
	tests := map[string]struct {
		reason string
		file   string
		want   []FaultError
	}{
		"empty file": {
			reason: "there is nothing that could be run",
			file:   "",
			want:   []FaultError{{Message: "the file is empty"}},
		},
		"comments alone": {
			reason: "a config that was commented out is as good as empty",
			file:   "# nothing\n",
			want:   []FaultError{{Message: "the file is empty"}},
		},
		"not YAML": {
			reason: "the parser says which line it gave up on",
			file:   "apiVersion: wasmloop.dev/v1alpha1\nkind: a: b\n",
			want:   []FaultError{{Line: 2, Message: "mapping values are not allowed in this context"}},
		},
		"second document": {
			reason: "it would be overlooked otherwise",
			file:   header + "controllers:\n" + controller + "\n---\nkind: HostConfig\n",
			want:   []FaultError{{Line: 7, Column: 1, Message: "the file holds a second document"}},
		},
		"list instead of the config": {
			reason: "the file as a whole has a type too",
			file:   "- a\n",
			want:   []FaultError{{Line: 1, Column: 1, Message: "the file: want an object, got array"}},
		},
		"unknown fields": {
			reason: "each typo is told of, at its own place",
			file:   header + "controllers:\n- {name: c, module: m, for: {apiVersion: v1, kind: Pod, version: v1}}\nmoduls: {}\n",
			want: []FaultError{
				{Line: 6, Column: 57, Message: `unknown field "controllers[0].for[0].version"`},
				{Line: 7, Column: 1, Message: `unknown field "moduls"`},
			},
		},
		"field in another case": {
			reason: "names are as Kubernetes has them: their case counts",
			file:   header + "Controllers:\n" + controller + "\n",
			want:   []FaultError{{Line: 5, Column: 1, Message: `unknown field "Controllers"`}},
		},
		"string for a number": {
			reason: "the path says which of the controllers it is",
			file:   header + "controllers:\n" + controller + "\n- {name: d, module: m, workers: four, for: []}\n",
			want:   []FaultError{{Line: 7, Column: 33, Message: "controllers[1].workers: want a whole number, got string"}},
		},
		"fraction for a whole number": {
			reason: "half a worker cannot be had",
			file:   header + "controllers:\n- {name: c, module: m, workers: 1.5, for: []}\n",
			want:   []FaultError{{Line: 6, Column: 33, Message: "controllers[0].workers: want a whole number, got number 1.5"}},
		},
		"number for a size": {
			reason: "a bare number leaves its unit open to guesses",
			file:   strings.Replace(header, `m.wasm"`, `m.wasm", limits: {memory: 64}`, 1) + "controllers:\n" + controller + "\n",
			want:   []FaultError{{Line: 4, Column: 49, Message: "modules.m.limits.memory: want a string, got number"}},
		},
		"object for a list": {
			reason: "only for may be one object in place of a list",
			file:   header + "controllers:\n- {name: c, module: m, for: [], owns: {apiVersion: v1, kind: Pod}}\n",
			want:   []FaultError{{Line: 6, Column: 39, Message: "controllers[0].owns: want a list, got object"}},
		},
		"list for an object": {
			reason: "modules have names",
			file:   "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n- source: file://m.wasm\n",
			want:   []FaultError{{Line: 4, Column: 1, Message: "modules: want an object, got array"}},
		},
		"string for a switch": {
			reason: "yes is a string in YAML 1.2, and not true",
			file:   header + "controllers:\n- {name: c, module: m, for: [], adopt: yes}\n",
			want:   []FaultError{{Line: 6, Column: 40, Message: "controllers[0].adopt: want true or false, got string"}},
		},
		"duplicate key": {
			reason: "one of the two would be lost",
			file:   header + "controllers:\n- name: c\n  module: m\n  name: d\n",
			want:   []FaultError{{Line: 8, Column: 3, Message: `duplicate key "name"`}},
		},
		"duplicate key in settings": {
			reason: "settings are read as strictly as the rest",
			file:   header + "controllers:\n- name: c\n  settings: {a: 1, \"a\": 2}\n",
			want:   []FaultError{{Line: 7, Column: 20, Message: `duplicate key "a"`}},
		},
		"alias": {
			reason: "a few of them can stand for a file without end",
			file:   header + "controllers:\n- &c {name: c, module: m, for: []}\n- *c\n",
			want:   []FaultError{{Line: 7, Column: 3, Message: "aliases are not supported: write the value out"}},
		},
		"merge key": {
			reason: "it is an alias in disguise",
			file:   header + "controllers:\n- &c {name: c}\n- {<<: *c, name: d}\n",
			want:   []FaultError{{Line: 7, Column: 4, Message: "a key must be a plain string"}},
		},
		"key that is a list": {
			reason: "JSON has no such keys",
			file:   "? [a]\n: b\n",
			want:   []FaultError{{Line: 1, Column: 3, Message: "a key must be a plain string"}},
		},
		"not a number": {
			reason: "JSON cannot carry it to the module",
			file:   header + "controllers:\n- {name: c, settings: {a: .nan}}\n",
			want:   []FaultError{{Line: 6, Column: 27, Message: "JSON has no such value: .nan"}},
		},
		"another kind of file": {
			reason: "another version's fields could mean something else",
			file:   "apiVersion: wasmloop.dev/v1\nkind: Config\nmodules: {m: {source: file://m.wasm}}\ncontrollers:\n" + controller + "\n",
			want: []FaultError{
				{Line: 1, Column: 1, Message: `apiVersion: Unsupported value: "wasmloop.dev/v1": supported values: "wasmloop.dev/v1alpha1"`},
				{Line: 2, Column: 1, Message: `kind: Unsupported value: "Config": supported values: "HostConfig"`},
			},
		},
		"no controllers": {
			reason: "the host would sit there and do nothing",
			file:   header,
			want:   []FaultError{{Line: 1, Column: 1, Message: "controllers: Required value: a host needs at least one controller"}},
		},
		"controller without anything": {
			reason: "what is missing is told of at the entry that lacks it",
			file:   header + "controllers:\n- {}\n",
			want: []FaultError{
				{Line: 6, Column: 3, Message: `controllers[0].name: Required value: what the controller is known by`},
				{Line: 6, Column: 3, Message: `controllers[0].module: Required value: the name of an entry of modules`},
				{Line: 6, Column: 3, Message: `controllers[0].for: Required value: a controller reconciles at least one kind`},
			},
		},
		"duplicate controller name": {
			reason: "children are owned by the name: each of the two would delete the other's",
			file:   header + "controllers:\n" + controller + "\n" + controller + "\n",
			want:   []FaultError{{Line: 7, Column: 4, Message: `controllers[1].name: Duplicate value: "c"`}},
		},
		"name that is no label": {
			reason: "it becomes a part of field managers and annotations",
			file:   header + "controllers:\n- {name: My_C, module: m, for: {apiVersion: v1, kind: Pod}}\n",
			want: []FaultError{{Line: 6, Column: 4, Message: `controllers[0].name: Invalid value: "My_C": a lowercase RFC 1123 label must consist of ` +
				`lower case alphanumeric characters or '-', and must start and end with an alphanumeric character ` +
				`(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`}},
		},
		"module that is not declared": {
			reason: "a typo here is the commonest fault of all, and the right names are few",
			file:   header + "controllers:\n- {name: c, module: n, for: {apiVersion: v1, kind: Pod}}\n",
			want:   []FaultError{{Line: 6, Column: 13, Message: `controllers[0].module: Unsupported value: "n": supported values: "m"`}},
		},
		"module without a source": {
			reason: "an example says what one looks like",
			file:   "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n  m:\ncontrollers:\n" + controller + "\n",
			want:   []FaultError{{Line: 4, Column: 3, Message: "modules.m.source: Required value: for example file://modules/mine.wasm"}},
		},
		"sources of unknown schemes": {
			reason: "a path alone is no URL, and others are not fetched",
			file: "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
				"  a: {source: a.wasm}\n  b: {source: \"https://example.com/b.wasm\"}\n  c: {source: \"file://\"}\n" +
				"controllers:\n- {name: c, module: a, for: {apiVersion: v1, kind: Pod}}\n",
			want: []FaultError{
				{Line: 4, Column: 7, Message: `modules.a.source: Invalid value: "a.wasm": want file://, oci://, https:// or configmap:// and what follows it, for instance oci://REGISTRY/REPOSITORY[:TAG][@sha256:HEX]`},
				{Line: 5, Column: 7, Message: `modules.b.source: Invalid value: "https://example.com/b.wasm": it has no digest: add @sha256: and the module's digest, which sha256sum prints (want https://HOST/PATH@sha256:HEX)`},
				{Line: 6, Column: 7, Message: `modules.c.source: Invalid value: "file://": it has no path`},
			},
		},
		"what makes no sense of registries and the policy": {
			reason: "a module that nobody wanted could run, or none",
			file: "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
				"  a: {source: \"oci://ghcr.io/acme/a:1\"}\n  b: {source: \"oci://ghcr.io/acme/b@sha256:" + strings.Repeat("a", 64) + "\", poll: 5m}\n" +
				"controllers:\n- {name: c, module: a, for: {apiVersion: v1, kind: Pod}}\n" +
				"registries:\n  UPPER: {}\n  ghcr.io: {mirrors: [\"https://mirror.example.com\"]}\n" +
				"imagePullSecrets: [{name: A_B, namespace: default}]\n" +
				"policy:\n  requireDigest: true\n  allowedSources: [ghcr.io/acme]\n  signatures: {require: most, identities: [{issuer: i, subject: s}]}\n",
			want: []FaultError{
				{Line: 4, Column: 7, Message: `modules.a.source: Invalid value: "oci://ghcr.io/acme/a:1": policy.requireDigest wants a digest at its end: wasmloop lock adds it`},
				{Line: 5, Column: 111, Message: `modules.b.poll: Invalid value: "5m": a source with a digest has always the same module`},
				{Line: 9, Column: 3, Message: `registries.UPPER: Invalid value: "UPPER": "UPPER" is no registry: want HOST or HOST:PORT, in lower case`},
				{Line: 10, Column: 23, Message: `registries.ghcr.io.mirrors[0]: Invalid value: "https://mirror.example.com": "https://mirror.example.com" is no mirror: want HOST or HOST/PATH, without a scheme`},
				{Line: 11, Column: 21, Message: `imagePullSecrets[0].name: Invalid value: "A_B": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
				{Line: 14, Column: 20, Message: `policy.allowedSources[0]: Invalid value: "ghcr.io/acme": allowed source "ghcr.io/acme": want the beginning of a source URL, for instance oci://ghcr.io/acme/`},
				{Line: 15, Column: 3, Message: `policy.signatures.trustedRoot: Required value: identities need the authorities and logs that are to be trusted`},
				{Line: 15, Column: 16, Message: `policy.signatures.require: Unsupported value: "most": supported values: "any", "all"`},
			},
		},
		"signatures without keys": {
			reason: "nothing would be checked, though it looks as if",
			file:   header + "controllers:\n" + controller + "\npolicy: {signatures: {}}\n",
			want:   []FaultError{{Line: 7, Column: 10, Message: `policy.signatures: Required value: keys or identities: without any, no signature would do`}},
		},
		"bad sizes and durations": {
			reason: "all of them are told of at once",
			file: "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
				"  m:\n    source: file://m.wasm\n    limits:\n      memory: 5Gi\n      timeout: 5\n      request: 64 MB\n      response: -1Mi\n" +
				"controllers:\n" + strings.TrimSuffix(controller, "}") + ", resync: 0s}\n",
			want: []FaultError{{Line: 8, Column: 16, Message: "modules.m.limits.timeout: want a string, got number"}},
		},
		"bad sizes and durations of the right type": {
			reason: "all of them are told of at once",
			file: "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
				"  m:\n    source: file://m.wasm\n    limits:\n      memory: 5Gi\n      timeout: 5 s\n      request: 64 MB\n      response: \"0.5\"\n" +
				"controllers:\n" + strings.TrimSuffix(controller, "}") + ", resync: 0s}\n",
			want: []FaultError{
				{Line: 7, Column: 7, Message: `modules.m.limits.memory: Invalid value: "5Gi": must not be above 4294967296 bytes`},
				{Line: 9, Column: 7, Message: `modules.m.limits.request: Invalid value: "64 MB": want a size like "64Mi"`},
				{Line: 10, Column: 7, Message: `modules.m.limits.response: Invalid value: "0.5": want a whole number of bytes above zero`},
				{Line: 8, Column: 7, Message: `modules.m.limits.timeout: Invalid value: "5 s": want a duration above zero like "30s"`},
				{Line: 12, Column: 58, Message: `controllers[0].resync: Invalid value: "0s": want a duration above zero like "30s"`},
			},
		},
		"bad counts": {
			reason: "each has its own bound",
			file: "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
				"  m:\n    source: file://m.wasm\n    limits:\n      fuel: lots\n      tables: 5G\n      logLines: \"0\"\n" +
				"controllers:\n" + controller + "\n",
			want: []FaultError{
				{Line: 7, Column: 7, Message: `modules.m.limits.fuel: Invalid value: "lots": want a number like "500M"`},
				{Line: 8, Column: 7, Message: `modules.m.limits.tables: Invalid value: "5G": must not be above 4294967295`},
				{Line: 9, Column: 7, Message: `modules.m.limits.logLines: Invalid value: "0": want a whole number above zero`},
			},
		},
		"bad limits of a controller": {
			reason: "what it has from the module is told of there alone",
			file: strings.Replace(header, `m.wasm"`, `m.wasm", limits: {fuel: lots, timeout: 5 s}`, 1) + "controllers:\n" +
				strings.TrimSuffix(controller, "}") + ", limits: {timeout: 6 s}}\n",
			want: []FaultError{
				{Line: 4, Column: 41, Message: `modules.m.limits.fuel: Invalid value: "lots": want a number like "500M"`},
				{Line: 4, Column: 53, Message: `modules.m.limits.timeout: Invalid value: "5 s": want a duration above zero like "30s"`},
				{Line: 6, Column: 67, Message: `controllers[0].limits.timeout: Invalid value: "6 s": want a duration above zero like "30s"`},
			},
		},
		"bad ways to keep children": {
			reason: "a strategy that comes later must not be taken for the one that is there",
			file: header + "controllers:\n" + strings.TrimSuffix(controller, "}") +
				", owns: [{apiVersion: v1, kind: Pod, updateStrategy: RollingRecreate, ownerReference: None, namespaces: [\"*\", \"a*\"]}]}\n",
			want: []FaultError{
				{Line: 6, Column: 93, Message: `controllers[0].owns[0].updateStrategy: Unsupported value: "RollingRecreate": supported values: "InPlace", "Recreate", "OnDelete"`},
				{Line: 6, Column: 126, Message: `controllers[0].owns[0].ownerReference: Unsupported value: "None": supported values: "Controller", "Owner"`},
				{
					Line: 6, Column: 166, Message: `controllers[0].owns[0].namespaces[1]: Invalid value: "a*": a lowercase RFC 1123 label must consist of ` +
						`lower case alphanumeric characters or '-', and must start and end with an alphanumeric character ` +
						`(e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`,
				},
			},
		},
		"unknown isolation": {
			reason: "it must not be taken for the safe one, nor for the other",
			file:   strings.Replace(header, `m.wasm"`, `m.wasm", isolation: none`, 1) + "controllers:\n" + controller + "\n",
			want:   []FaultError{{Line: 4, Column: 32, Message: `modules.m.isolation: Unsupported value: "none": supported values: "hermetic", "pooled"`}},
		},
		"accounts that are none": {
			reason: "who writes just a name may expect the host's namespace",
			file: header + "controllers:\n- {name: c, module: m, for: {apiVersion: v1, kind: Pod}, serviceAccount: c}\n" +
				"- {name: d, module: m, for: {apiVersion: v1, kind: Pod}, serviceAccount: a/b, tokenFile: t}\n" +
				"- {name: e, module: m, for: {apiVersion: v1, kind: Pod}, serviceAccount: A/b}\nlogLevel: loud\n",
			want: []FaultError{
				{Line: 9, Column: 1, Message: `logLevel: Unsupported value: "loud": supported values: "info", "debug"`},
				{Line: 6, Column: 58, Message: `controllers[0].serviceAccount: Invalid value: "c": want NAMESPACE/NAME`},
				{Line: 7, Column: 58, Message: `controllers[1].serviceAccount: Invalid value: "a/b": serviceAccount and tokenFile exclude each other: the token says whose it is`},
				{Line: 8, Column: 58, Message: `controllers[2].serviceAccount: Invalid value: "A/b": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')`},
			},
		},
		"negative numbers": {
			reason: "they would mean no bound to some and nothing at all to others",
			file:   header + "controllers:\n" + strings.TrimSuffix(controller, "}") + ", workers: -1, prune: {maxPerReconcile: -1}}\n",
			want: []FaultError{
				{Line: 6, Column: 58, Message: "controllers[0].workers: Invalid value: -1: must not be negative"},
				{Line: 6, Column: 79, Message: "controllers[0].prune.maxPerReconcile: Invalid value: -1: must not be negative"},
			},
		},
		"times and paths that are none": {
			reason: "they would never come, or never be there",
			file: header + "controllers:\n- name: c\n  module: m\n  for: {apiVersion: v1, kind: Pod, fields: [a..b]}\n" +
				"  schedule: 0 3 * *\n  minInterval: never\n",
			want: []FaultError{
				{Line: 8, Column: 45, Message: `controllers[0].for[0].fields[0]: Invalid value: "a..b": want names of fields with dots between them, like spec.template, and a name that has dots in brackets, like metadata.annotations[example.com/a]`},
				{Line: 10, Column: 3, Message: `controllers[0].minInterval: Invalid value: "never": want a duration above zero like "30s"`},
				{Line: 9, Column: 3, Message: `controllers[0].schedule: Invalid value: "0 3 * *": expected exactly 5 fields, found 4: [0 3 * *]`},
				{Line: 9, Column: 3, Message: `controllers[0].schedule: Invalid value: "0 3 * *": needs clock: true: without a clock the answer would be the same again`},
			},
		},
		"projections that contradict each other": {
			reason: "what is not known cannot be selected by, and a kind is watched in one way",
			file: header + "controllers:\n- name: c\n  module: m\n  for: {apiVersion: v1, kind: Pod, metadataOnly: true, fieldSelector: \"metadata.name=a,spec.nodeName=b\"}\n" +
				"  related:\n    rules: [{apiVersion: v1, kind: Secret, names: [a]}]\n    allow: [{apiVersion: v1, kind: Secret, fields: [data]}]\n",
			want: []FaultError{
				{Line: 8, Column: 56, Message: `controllers[0].for[0].fieldSelector: Invalid value: "metadata.name=a,spec.nodeName=b": with metadataOnly: true no field but those of metadata is known`},
				{Line: 11, Column: 13, Message: `controllers[0].related.allow[0]: Invalid value: "Secret.v1": fields, ignore and metadataOnly must be the same wherever the kind is related`},
			},
		},
		"metadata alone of children": {
			reason: "drift repair must see all of them",
			file:   header + "controllers:\n- name: c\n  module: m\n  for: {apiVersion: v1, kind: Pod}\n  owns: [{apiVersion: v1, kind: ConfigMap, metadataOnly: true}]\n",
			want:   []FaultError{{Line: 9, Column: 44, Message: `unknown field "controllers[0].owns[0].metadataOnly"`}},
		},
		"kinds that are none": {
			reason: "they could never be watched",
			file:   header + "controllers:\n- name: c\n  module: m\n  for: {apiVersion: a/b/c, kind: Pod}\n  owns: [{kind: Pod}, {apiVersion: v1}]\n",
			want: []FaultError{
				{Line: 8, Column: 9, Message: `controllers[0].for[0].apiVersion: Invalid value: "a/b/c": want GROUP/VERSION, or v1 for the core group`},
				{Line: 9, Column: 10, Message: `controllers[0].owns[0].apiVersion: Invalid value: "": want GROUP/VERSION, or v1 for the core group`},
				{Line: 9, Column: 23, Message: `controllers[0].owns[1].kind: Required value: the kind's name, like ConfigMap`},
			},
		},
		"two versions of a kind": {
			reason: "they are the same objects, which would be seen and pruned twice",
			file:   header + "controllers:\n- name: c\n  module: m\n  for: {apiVersion: v1, kind: Pod}\n  owns:\n  - {apiVersion: batch/v1, kind: CronJob}\n  - {apiVersion: batch/v1beta1, kind: CronJob}\n",
			want:   []FaultError{{Line: 11, Column: 5, Message: `controllers[0].owns[1]: Duplicate value: "CronJob.v1beta1.batch"`}},
		},
		"settings that are no object": {
			reason: "a request promises an object to the module",
			file:   header + "controllers:\n" + strings.TrimSuffix(controller, "}") + ", settings: [1]}\n",
			want:   []FaultError{{Line: 6, Column: 58, Message: `controllers[0].settings: Invalid value: "[1]": must be an object`}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("config.yaml", []byte(tt.file))
			for i := range tt.want {
				tt.want[i].File = "config.yaml"
			}
			if diff := cmp.Diff(tt.want, faultsOf(err)); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// faultsOf takes apart what Load and Parse join.
func faultsOf(err error) []FaultError {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var faults []FaultError
		for _, err := range joined.Unwrap() {
			faults = append(faults, faultsOf(err)...)
		}
		return faults
	}
	fault, ok := errors.AsType[*FaultError](err)
	if !ok {
		return nil
	}
	return []FaultError{*fault}
}

func TestFaultPlace(t *testing.T) {
	tests := map[string]struct {
		reason string
		fault  FaultError
		want   string
	}{
		"place known":     {"editors jump to it", FaultError{"a.yaml", 2, 3, "no"}, "a.yaml:2:3: no"},
		"line known":      {"the YAML parser says no more", FaultError{"a.yaml", 2, 0, "no"}, "a.yaml:2: no"},
		"file as a whole": {"there is no line to point at", FaultError{"a.yaml", 0, 0, "no"}, "a.yaml: no"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.fault.Error()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestParse(t *testing.T) {
	limits := Limits{
		Memory: "64Mi", Fuel: "1G", Timeout: "5s", Request: "16Mi", Response: "4Mi", Tables: "1M", LogLines: "1k", LogBytes: "256Ki",
	}
	modules := map[string]Module{"m": {Source: "file://m.wasm", Limits: limits, Isolation: "hermetic"}}
	pod := []Reconciled{{GroupVersionKind: GroupVersionKind{"v1", "Pod"}}}
	tests := map[string]struct {
		reason string
		file   string
		want   Config
	}{
		"defaults": {
			reason: "what is left out is as the reference says",
			file:   header + "controllers:\n" + controller + "\n",
			want: Config{
				APIVersion: APIVersion, Kind: Kind, Modules: modules,
				Controllers: []Controller{{
					Name: "c", Module: "m", For: pod, Workers: 4, Resync: "10h", Prune: Prune{MaxPerReconcile: 100}, Limits: limits,
				}},
			},
		},
		"everything said": {
			reason: "no default replaces what is said",
			file: `{apiVersion: wasmloop.dev/v1alpha1, kind: HostConfig,
				modules: {m: {source: "file://m.wasm", isolation: pooled, limits: {memory: 1Mi, fuel: 2M,
				timeout: 1m30s, request: 1k, response: "2000", tables: "10", logLines: "20", logBytes: 3k}}},
				controllers: [{name: c, module: m, for: [{apiVersion: v1, kind: Pod}, {apiVersion: apps/v1, kind: Deployment}],
				owns: [{apiVersion: v1, kind: ConfigMap}, {apiVersion: v1, kind: Secret, namespaces: [a, "*"],
				updateStrategy: OnDelete, ownerReference: Owner, prune: {orphan: true}}], clock: true, finalize: true, adopt: true,
				prune: {maxPerReconcile: 1}, limits: {fuel: 3G, timeout: 2s}, workers: 1, resync: 1m, settings: {a: 1}}]}`,
			want: Config{
				APIVersion: APIVersion, Kind: Kind,
				Modules: map[string]Module{"m": {
					Source: "file://m.wasm",
					Limits: Limits{
						Memory: "1Mi", Fuel: "2M", Timeout: "1m30s", Request: "1k", Response: "2000", Tables: "10", LogLines: "20", LogBytes: "3k",
					},
					Isolation: "pooled",
				}},
				Controllers: []Controller{{
					Name: "c", Module: "m",
					For: []Reconciled{{GroupVersionKind: GroupVersionKind{"v1", "Pod"}}, {GroupVersionKind: GroupVersionKind{"apps/v1", "Deployment"}}},
					Owns: []Owned{
						{GroupVersionKind: GroupVersionKind{"v1", "ConfigMap"}, UpdateStrategy: UpdateInPlace, OwnerReference: OwnerReferenceController},
						{
							GroupVersionKind: GroupVersionKind{"v1", "Secret"}, Namespaces: []string{"a", "*"},
							UpdateStrategy: UpdateOnDelete, OwnerReference: OwnerReferenceOwner, Prune: OwnedPrune{Orphan: true},
						},
					},
					Clock: true, Finalize: true, Adopt: true, Workers: 1, Resync: "1m", Prune: Prune{MaxPerReconcile: 1},
					Limits: Limits{
						Memory: "1Mi", Fuel: "3G", Timeout: "2s", Request: "1k", Response: "2000", Tables: "10", LogLines: "20", LogBytes: "3k",
					},
					Settings: json.RawMessage(`{"a":1}`),
				}},
			},
		},
		"nulls": {
			reason: "a field without a value is one that was left out",
			file:   header + "controllers:\n- {name: c, module: m, for: {apiVersion: v1, kind: Pod}, owns: , workers: , prune: , resync: , settings: }\n",
			want: Config{
				APIVersion: APIVersion, Kind: Kind, Modules: modules,
				Controllers: []Controller{{
					Name: "c", Module: "m", For: pod, Workers: 4, Resync: "10h", Prune: Prune{MaxPerReconcile: 100}, Limits: limits,
				}},
			},
		},
		"settings of all types": {
			reason: "they reach the module as they were written, in the same order",
			file: header + "controllers:\n" + strings.TrimSuffix(controller, "}") + `, settings: {z: "\x01\a\"\u00e9", date: 2020-01-01, "quote\"": off, ` +
				`big: 9223372036854775807, small: 1.50, hex: 0x10, none: ~, list: [true, {}], for: {a: b}}}` + "\n",
			want: Config{
				APIVersion: APIVersion, Kind: Kind, Modules: modules,
				Controllers: []Controller{{
					Name: "c", Module: "m", For: pod, Workers: 4, Resync: "10h", Prune: Prune{MaxPerReconcile: 100}, Limits: limits,
					Settings: json.RawMessage(`{"z":"\u0001\u0007\"é","date":"2020-01-01","quote\"":"off",` +
						`"big":9223372036854775807,"small":1.5,"hex":16,"none":null,"list":[true,{}],"for":{"a":"b"}}`),
				}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := Parse("config.yaml", []byte(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&tt.want, got); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

// write writes files into a new folder and returns its path.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func TestLoadResolvesSources(t *testing.T) {
	elsewhere := filepath.Join(write(t, map[string]string{"b.wasm": "no module"}), "b.wasm")
	folder := write(t, map[string]string{
		"modules/a.wasm": "no module", "c.wasm": "no module",
		"config/wasmloop.yaml": "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
			"  a: {source: file://../modules/a.wasm}\n  b: {source: 'file://" + elsewhere + "'}\n" +
			"controllers:\n- {name: c, module: a, for: {apiVersion: v1, kind: Pod}}\n",
	})
	t.Chdir(folder) // a config is found from here, its modules from where it is
	config, err := Load("config/wasmloop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, module := range config.Modules {
		got[name] = module.Source
	}
	want := map[string]string{"a": "file://" + filepath.Join(folder, "modules", "a.wasm"), "b": "file://" + elsewhere}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestLoadFaults(t *testing.T) {
	folder := write(t, map[string]string{
		"there.wasm": "no module",
		"missing.yaml": "apiVersion: wasmloop.dev/v1alpha1\nkind: HostConfig\nmodules:\n" +
			"  there: {source: file://there.wasm}\n  gone:\n    limits: {timeout: 1s}\n    source: file://gone.wasm\n" +
			"controllers:\n- {name: c, module: there, for: {apiVersion: v1, kind: Pod}}\n",
	})
	path := filepath.Join(folder, "missing.yaml")
	_, err := Load(path)
	want := []FaultError{{path, 7, 5, `modules.gone.source: Invalid value: "file://` + filepath.Join(folder, "gone.wasm") + `": there is no such file`}}
	if diff := cmp.Diff(want, faultsOf(err)); diff != "" {
		t.Errorf("a module that is not there is the config's fault: -want +got:\n%s", diff)
	}

	if _, err := Load(filepath.Join(folder, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a config that is not there: got %v, want one that wraps os.ErrNotExist", err)
	}
}

// TestSampleConfig also holds the config that `make run` uses to its modules: each has a folder that it is built in.
func TestSampleConfig(t *testing.T) {
	path := "../../../config/wasmloop.yaml"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config, err := Parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	for name, module := range config.Modules {
		folder := filepath.Join("../../../config", filepath.Dir(strings.TrimPrefix(module.Source, fileScheme)))
		if _, err := os.Stat(filepath.Join(folder, "main.go")); err != nil {
			t.Errorf("module %s: %v", name, err)
		}
	}
}

func TestSelect(t *testing.T) {
	tests := map[string]struct {
		reason   string
		patterns []string
		want     []string
		fails    bool
	}{
		"all":               {reason: "the flag's default", patterns: []string{"*"}, want: []string{"a", "b", "c"}},
		"one":               {reason: "without a star only what is named runs", patterns: []string{"b"}, want: []string{"b"}},
		"two, any order":    {reason: "they run in the config's order", patterns: []string{"c", "a"}, want: []string{"a", "c"}},
		"all but one":       {reason: "a star stands for what is not named", patterns: []string{"*", "-b"}, want: []string{"a", "c"}},
		"all but one first": {reason: "a star may come last", patterns: []string{"-b", "*"}, want: []string{"a", "c"}},
		"off and on":        {reason: "the first pattern that names it decides, as in kube-controller-manager", patterns: []string{"-b", "b", "*"}, want: []string{"a", "c"}},
		"on and off":        {reason: "the first pattern that names it decides, as in kube-controller-manager", patterns: []string{"b", "-b"}, want: []string{"b"}},
		"unknown":           {reason: "a typo must not switch a controller off unseen", patterns: []string{"*", "d"}, fails: true},
		"unknown off":       {reason: "a typo must not leave a controller on unseen", patterns: []string{"*", "-d"}, fails: true},
		"none":              {reason: "a host without controllers is a mistake", patterns: []string{"-a"}, fails: true},
		"no pattern":        {reason: "a host without controllers is a mistake", patterns: nil, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			config := &Config{Controllers: []Controller{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
			err := config.Select(tt.patterns)
			if tt.fails {
				if err == nil {
					t.Errorf("%s: want an error, got %v", tt.reason, config.names())
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, config.names()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}

func TestGroupVersionKindString(t *testing.T) {
	tests := map[string]struct {
		reason string
		kind   GroupVersionKind
		want   string
	}{
		"core group":  {"it has no name that could follow", GroupVersionKind{"v1", "Pod"}, "Pod.v1"},
		"other group": {"group and version are told apart by their order", GroupVersionKind{"apps/v1", "Deployment"}, "Deployment.v1.apps"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, tt.kind.String()); diff != "" {
				t.Errorf("%s: -want +got:\n%s", tt.reason, diff)
			}
		})
	}
}
