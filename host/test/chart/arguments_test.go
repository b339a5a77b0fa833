package chart

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// rbacArguments returns the flags of wasmloop rbac that say what a values file says beside the config.
func rbacArguments(t *testing.T, values string, objects []*unstructured.Unstructured) (arguments []string) {
	t.Helper()
	text, err := os.ReadFile(values)
	if err != nil {
		t.Fatal(err)
	}
	var given struct {
		RBAC struct {
			Resources, TokenAccounts map[string]string
			ClusterScoped            []string
		}
	}
	if err := yaml.Unmarshal(text, &given); err != nil {
		t.Fatal(err)
	}
	for kind, plural := range given.RBAC.Resources {
		arguments = append(arguments, "--resource", kind+"="+plural)
	}
	for controller, account := range given.RBAC.TokenAccounts {
		arguments = append(arguments, "--token-account", controller+"="+account)
	}
	for _, kind := range given.RBAC.ClusterScoped {
		arguments = append(arguments, "--cluster-scoped", kind)
	}
	leads := false
	for _, argument := range containerArguments(t, objects) {
		leads = leads || argument == "--leader-elect"
		if argument == "--metrics-secure" || strings.HasPrefix(argument, "--lease-name=") {
			arguments = append(arguments, argument)
		}
	}
	if !leads {
		arguments = append(arguments, "--leader-elect=false")
	}
	return arguments
}
