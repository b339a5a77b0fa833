package apiserver

import (
	"net/http"
	"strings"
	"testing"
)

// TestHTTP sends what no client library would, or only with other settings.
func TestHTTP(t *testing.T) {
	tests := map[string]struct {
		reason, method, path, contentType, accept, body string
		want                                            int
	}{
		"unknown kind":       {"it is not served", "GET", "/api/v1/things", "", "", "", 404},
		"unknown path":       {"it is not served", "GET", "/healthzz", "", "", "", 404},
		"protobuf wanted":    {"only JSON is spoken", "GET", "/api/v1/configmaps", "", "application/vnd.kubernetes.protobuf", "", 406},
		"protobuf preferred": {"JSON will do", "GET", "/api/v1/configmaps", "", "application/vnd.kubernetes.protobuf,application/json", "", 200},
		"protobuf sent":      {"only JSON is understood", "POST", "/api/v1/namespaces/default/configmaps", "application/vnd.kubernetes.protobuf", "", "k8s", 415},
		"strategic patch":    {"it is not understood", "PATCH", "/api/v1/namespaces/default", "application/strategic-merge-patch+json", "", "{}", 415},
		"no body":            {"it is no object", "POST", "/api/v1/namespaces/default/configmaps", "application/json", "", "", 400},
		"delete of all":      {"it is not served", "DELETE", "/api/v1/namespaces/default/configmaps", "", "", "", 405},
		"wrong kind":         {"it is sent elsewhere", "POST", "/api/v1/namespaces/default/configmaps", "application/json", "", `{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}`, 400},
		"no kind":            {"the path says it", "POST", "/api/v1/namespaces/default/configmaps", "application/json", "", `{"metadata":{"name":"a"}}`, 201},
		"apply of YAML":      {"it creates", "PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=m", "application/apply-patch+yaml", "", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", 201},
		"unknown field":      {"it cannot be selected", "GET", "/api/v1/configmaps?fieldSelector=data.a%3Db", "", "", "", 400},
		"no namespace":       {"the kind has none", "GET", "/api/v1/namespaces/default/nodes", "", "", "", 404},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), tt.method, "http://in-memory"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", tt.contentType)
			request.Header.Set("Accept", tt.accept)
			response, err := newServer(t, Options{}).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			if response.StatusCode != tt.want {
				t.Errorf("%s: got %s, want %d", tt.reason, response.Status, tt.want)
			}
		})
	}
}
