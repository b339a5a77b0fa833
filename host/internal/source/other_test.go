package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHTTPS(t *testing.T) {
	module := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("abc")) })
	tests := map[string]struct {
		reason string
		answer http.HandlerFunc
		want   string // of the error, "" for none
	}{
		"there": {"it is what it is for", module, ""},
		"redirected": {"releases are", func(w http.ResponseWriter, request *http.Request) {
			if request.URL.Path == "/a.wasm" {
				http.Redirect(w, request, "/elsewhere.wasm", http.StatusFound)
				return
			}
			module(w, request)
		}, ""},
		"other bytes": {"the digest promises others", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("abd")) }, "it is another module, or was changed"},
		"missing":     {"it says so", http.NotFound, "the server answers 404 Not Found"},
		"too large":   {"it says so at once", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1099511627776") }, "larger than 256 MiB"},
		"redirected to plain HTTP": {"anybody could change that", func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, "http://"+request.Host+"/", http.StatusFound)
		}, "it redirects from https to http"},
		"redirected for ever": {"it would never end", func(w http.ResponseWriter, request *http.Request) {
			http.Redirect(w, request, "/x?token=secret", http.StatusFound)
		}, "it redirects more than 5 times"},
		"cut off": {"the connection ends", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "3")
			_, _ = w.Write([]byte("ab"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			requests := 0
			server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
				requests++
				tt.answer(w, request)
			}))
			t.Cleanup(server.Close)
			host := strings.TrimPrefix(server.URL, "https://")
			c := newClient(t, Options{StoreDir: t.TempDir(), Registries: map[string]Registry{host: {CAFile: authorityOf(t, server)}}})
			url := server.URL + "/a.wasm@" + someDigest
			module, err := c.Fetch(t.Context(), url)
			if tt.want != "" {
				fails(t, err, tt.want)
				return
			}
			if err != nil || string(module.Bytes) != "abc" || module.Pinned != url {
				t.Errorf("%s: got %+v, %v", tt.reason, module, err)
			}
			requests = 0
			if fetch(t, c, url); requests > 0 {
				t.Errorf("it is in the store, and was asked for %d times", requests)
			}
		})
	}
}

func zipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestConfigMap(t *testing.T) {
	whole, bomb := zipped(t, []byte("abc")), zipped(t, make([]byte, maxModule+1))
	maps := func(_ context.Context, namespace, name string) (map[string]string, map[string][]byte, error) {
		if namespace != "default" || name != "modules" {
			return nil, nil, errors.New("there is no such ConfigMap")
		}
		return map[string]string{"text": "abc"}, map[string][]byte{
			"plain": []byte("abc"), "zipped": whole, "cut": whole[:12], "no": []byte("\x1f\x8b and what else"),
			"bomb": bomb,
		}, nil
	}
	tests := map[string]struct {
		reason, url string
		options     Options
		want        string // of the error, "" for none
	}{
		"plain":           {"it fits", "configmap://default/modules/plain", Options{ConfigMap: maps}, ""},
		"zipped":          {"it would not fit otherwise", "configmap://default/modules/zipped", Options{ConfigMap: maps}, ""},
		"pinned":          {"of the module, not of how it is packed", "configmap://default/modules/zipped@" + someDigest, Options{ConfigMap: maps}, ""},
		"changed":         {"it was pinned", "configmap://default/modules/zipped@" + strings.Replace(someDigest, "b", "c", 1), Options{ConfigMap: maps}, "was changed"},
		"as text":         {"a module is none", "configmap://default/modules/text", Options{ConfigMap: maps}, "kubectl create configmap --from-file"},
		"no key":          {"it is named", "configmap://default/modules/none", Options{ConfigMap: maps}, "has no key none in binaryData"},
		"no ConfigMap":    {"it is named", "configmap://default/others/plain", Options{ConfigMap: maps}, "cannot read ConfigMap default/others"},
		"bomb":            {"it would fill the memory", "configmap://default/modules/bomb", Options{ConfigMap: maps}, "larger than 256 MiB"},
		"cut off":         {"half a module is none", "configmap://default/modules/cut", Options{ConfigMap: maps}, "cannot unpack it"},
		"not quite gzip":  {"it was damaged", "configmap://default/modules/no", Options{ConfigMap: maps}, "it begins as gzip does, and is not"},
		"without cluster": {"there is nowhere to look", "configmap://default/modules/plain", Options{}, "ConfigMaps are in a cluster"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			module, err := newClient(t, tt.options).Fetch(t.Context(), tt.url)
			if tt.want != "" {
				fails(t, err, tt.want)
				return
			}
			if err != nil || string(module.Bytes) != "abc" || !strings.HasSuffix(module.Pinned, "@"+someDigest) {
				t.Errorf("%s: got %+v, %v", tt.reason, module, err)
			}
			if pinned, err := newClient(t, tt.options).Resolve(t.Context(), tt.url); err != nil || pinned != module.Pinned {
				t.Errorf("it is resolved to %s, %v", pinned, err)
			}
		})
	}
}
