// Command clusteredparent is a Wasmloop module that gives each annotated ClusterRole to the default ServiceAccount of a
// namespace.
package main

import (
	_ "embed"

	"github.com/wasmloop/wasmloop/sdk"
)

//go:embed warmup.json
var warmUp []byte

func init() {
	sdk.Register(reconcile)
	sdk.WarmUp(warmUp)
}

func main() { sdk.Main() }

// annotation says of a ClusterRole in which namespace it is bound.
const annotation = "clusteredparent.example.com/bind-in"

const (
	rbacGroup   = "rbac.authorization.k8s.io"
	rbacVersion = rbacGroup + "/v1"
)

// account is the ServiceAccount that every namespace has.
const account = "default"

// reconcile wants a RoleBinding in the namespace of the annotation, as soon as that is there. When the ClusterRole goes, or
// loses its annotation, so does the RoleBinding.
func reconcile(req *sdk.Request[ClusterRole]) (*sdk.Response, error) {
	if req.Finalizing {
		return (&sdk.Response{Finalized: true}).Own(), nil
	}
	name := req.Annotations[annotation]
	if name == "" {
		return (&sdk.Response{}).Own().Eventf(sdk.EventWarning, "NamespaceMissing", "annotation %s names no namespace", annotation), nil
	}
	namespace, found, err := sdk.RelatedObject[Namespace](req, "v1", "Namespace", name)
	if err != nil {
		return nil, err
	}
	resp := (&sdk.Response{Related: []sdk.Related{{APIVersion: "v1", Kind: "Namespace", Names: []string{name}}}}).Own()
	if !found || namespace.Metadata.DeletionTimestamp != nil {
		return resp.Eventf(sdk.EventWarning, "NamespaceMissing", "annotation %s: there is no namespace %q", annotation, name), nil
	}
	return resp.Own(binding(req.Name, name)), nil
}

// binding returns a RoleBinding by the role's name, which cannot be changed later to be of another role.
func binding(role, namespace string) RoleBinding {
	made := RoleBinding{Object: sdk.NewObject(rbacVersion, "RoleBinding", role)}
	made.Metadata.Namespace = namespace
	made.RoleRef = RoleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: role}
	made.Subjects = []Subject{{Kind: "ServiceAccount", Name: account, Namespace: namespace}}
	return made
}
