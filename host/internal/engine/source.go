package engine

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/config"
	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/setup"
	"github.com/wasmloop/wasmloop/host/internal/source"
)

var (
	secretKind    = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}
	configMapKind = schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}
)

// pullSecretKey is the key of a pull secret that has the credentials.
const pullSecretKey = ".dockerconfigjson"

// storeDir is the folder of the cache folder in which modules are kept.
const storeDir = "modules"

// newSource returns what fetches the modules of a config: from the store when it has them, with pull secrets and ConfigMaps of the
// cluster.
func (e *Engine) newSource(conf *config.Config) (*source.Client, error) {
	fetching := source.Options{
		Credentials: func(ctx context.Context) ([][]byte, error) { return e.pullSecrets(ctx, conf.ImagePullSecrets) },
		ConfigMap:   e.configMap,
		Warn:        func(err error) { e.log.Error(err, "fetching modules") },
	}
	if e.cacheDir != "" {
		fetching.StoreDir = filepath.Join(e.cacheDir, storeDir)
	}
	return setup.Source(conf, fetching)
}

// pullSecrets reads the credentials in Secrets.
func (e *Engine) pullSecrets(ctx context.Context, names []config.SecretReference) (all [][]byte, err error) {
	for _, named := range names {
		fields, err := e.read(ctx, secretKind, named.Namespace, named.Name)
		if err != nil {
			return nil, err
		}
		encoded, there, _ := unstructured.NestedString(fields, "data", pullSecretKey)
		if !there {
			return nil, fmt.Errorf("cannot use Secret %s/%s: it has no %s, as those of type kubernetes.io/dockerconfigjson have", named.Namespace, named.Name, pullSecretKey)
		}
		decoded, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			return nil, fmt.Errorf("cannot decode Secret %s/%s: it is not valid base64", named.Namespace, named.Name) // err might show it
		}
		all = append(all, decoded)
	}
	return all, nil
}

// configMap reads a ConfigMap.
func (e *Engine) configMap(ctx context.Context, namespace, name string) (data map[string]string, binaryData map[string][]byte, err error) {
	fields, err := e.read(ctx, configMapKind, namespace, name)
	if err != nil {
		return nil, nil, err
	}
	data, _, _ = unstructured.NestedStringMap(fields, "data")
	encoded, _, _ := unstructured.NestedStringMap(fields, "binaryData")
	binaryData = make(map[string][]byte, len(encoded))
	for key, value := range encoded {
		if binaryData[key], err = base64.StdEncoding.DecodeString(value); err != nil {
			return nil, nil, fmt.Errorf("cannot decode %s of ConfigMap %s/%s: %w", key, namespace, name, err)
		}
	}
	return data, binaryData, nil
}

func (e *Engine) read(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (map[string]any, error) {
	id := kube.ID{GroupVersionKind: kind, NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
	object, err := e.own.client.Get(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", id, err)
	}
	return object.Decode()
}
