package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"strings"
)

// readConfigMap reads a module from a ConfigMap's binaryData, where it may be compressed with gzip: a ConfigMap has 1 MiB.
func (c *Client) readConfigMap(ctx context.Context, ref Ref) ([]byte, error) {
	if c.options.ConfigMap == nil {
		return nil, errors.New("ConfigMaps are in a cluster, and here is none: name a file or a registry")
	}
	parts := strings.SplitN(ref.Path, "/", 3)
	namespace, name, key := parts[0], parts[1], parts[2]
	data, binaryData, err := c.options.ConfigMap(ctx, namespace, name)
	if err != nil {
		return nil, fmt.Errorf("cannot read ConfigMap %s/%s: %w", namespace, name, err)
	}
	content, found := binaryData[key]
	if _, isText := data[key]; isText {
		return nil, fmt.Errorf("ConfigMap %s/%s has the key %s in data, and a module belongs in binaryData: make it with kubectl create configmap --from-file", namespace, name, key)
	}
	if !found {
		return nil, fmt.Errorf("ConfigMap %s/%s has no key %s in binaryData", namespace, name, key)
	}
	return unpack(content)
}

// unpack unpacks what is compressed with gzip. A bomb is left as soon as it is larger than a module may be.
func unpack(content []byte) ([]byte, error) {
	if !bytes.HasPrefix(content, []byte{0x1f, 0x8b}) {
		return content, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("it begins as gzip does, and is not: %w", err)
	}
	wasm, err := readBounded(r)
	if err != nil {
		return nil, fmt.Errorf("cannot unpack it: %w", err)
	}
	return wasm, nil
}
