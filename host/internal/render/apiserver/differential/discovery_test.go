package differential

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// served is what discovery says of a resource, as far as a client uses it.
type served struct {
	Kind, Singular string
	Namespaced     bool
	Short          []string
}

func discover(t *testing.T, config *rest.Config, version string) map[string]served {
	t.Helper()
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.ServerResourcesForGroupVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	resources := map[string]served{}
	for _, each := range list.APIResources {
		resources[each.Name] = served{each.Kind, each.SingularName, each.Namespaced, each.ShortNames}
	}
	return resources
}

// TestDiscovery holds the table of built-in kinds, and the custom kinds, against what the real server says. The real one
// serves more kinds, and other subresources than the status.
func TestDiscovery(t *testing.T) {
	client, err := discovery.NewDiscoveryClientForConfig(memoryConfig)
	if err != nil {
		t.Fatal(err)
	}
	_, lists, err := client.ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	if len(lists) < 15 {
		t.Errorf("only %d groups' versions are served", len(lists))
	}
	for _, list := range lists {
		t.Run(list.GroupVersion, func(t *testing.T) { compareResources(t, list) })
	}
}

func compareResources(t *testing.T, list *metav1.APIResourceList) {
	t.Helper()
	wanted, got := discover(t, realConfig, list.GroupVersion), discover(t, memoryConfig, list.GroupVersion)
	for name, have := range got {
		if diff := cmp.Diff(wanted[name], have); diff != "" {
			t.Errorf("%s: -real +in memory:\n%s", name, diff)
		}
		if _, real := wanted[name+"/status"]; real {
			if _, there := got[name+"/status"]; !there {
				t.Errorf("%s has a status subresource", name)
			}
		}
	}
}
