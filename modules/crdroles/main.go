// Command crdroles is a Wasmloop module that makes ClusterRoles for reading and for writing the objects of each
// CustomResourceDefinition that asks for it.
package main

import (
	_ "embed"
	"slices"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// annotation asks for the roles of a CustomResourceDefinition: "true", or "aggregate" to have them in the cluster's own roles
// view, edit and admin too.
const annotation = "crdroles.example.com/roles"

const aggregate = "aggregate"

var (
	read  = []string{"get", "list", "watch"}
	write = []string{"create", "update", "patch", "delete", "deletecollection"}
)

// reconcile wants two ClusterRoles for a CustomResourceDefinition that asks for them, and none for others: it sees them all, so
// that the roles go when the annotation does.
func reconcile(req *sdk.Request[CustomResourceDefinition]) (*sdk.Response, error) {
	resp := (&sdk.Response{}).Own()
	switch value := req.Annotations[annotation]; value {
	case "true", aggregate:
		spec := req.Object.Spec
		resp.Own(
			spec.role(req.Name+"-view", read, labels(value, "view", "edit", "admin")),
			spec.role(req.Name+"-edit", slices.Concat(read, write), labels(value, "edit", "admin")),
		)
	}
	return resp, nil
}

// role returns a ClusterRole for the objects. Who may read one may read its status too; to write that is the controllers' own.
func (s Spec) role(name string, verbs []string, labels map[string]string) ClusterRole {
	made := ClusterRole{Object: sdk.NewObject("rbac.authorization.k8s.io/v1", "ClusterRole", name).WithLabels(labels)}
	made.Rules = []Rule{
		{APIGroups: []string{s.Group}, Resources: []string{s.Names.Plural}, Verbs: verbs},
		{APIGroups: []string{s.Group}, Resources: []string{s.Names.Plural + "/status"}, Verbs: []string{"get"}},
	}
	return made
}

// labels returns those by which Kubernetes finds the roles that go into its own.
func labels(value string, roles ...string) map[string]string {
	labels := map[string]string{}
	for _, role := range roles {
		if value == aggregate {
			labels["rbac.authorization.k8s.io/aggregate-to-"+role] = "true"
		}
	}
	return labels
}
