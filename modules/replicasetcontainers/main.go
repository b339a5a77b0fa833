// Command replicasetcontainers is a Wasmloop module that logs the container names of each ReplicaSet.
package main

import "github.com/wasmloop/wasmloop/sdk"

func init() { sdk.Register(reconcile) }

func main() { sdk.Main() }

// replicaSet is the part of an apps/v1 ReplicaSet that this module reads.
type replicaSet struct {
	Spec struct {
		Template struct {
			Spec struct {
				InitContainers []container `json:"initContainers"`
				Containers     []container `json:"containers"`
			} `json:"spec"`
		} `json:"template"`
	} `json:"spec"`
}

type container struct {
	Name string `json:"name"`
}

// reconcile logs the names of the pod template's containers, and of its init containers if there are any. It returns no
// response, and so has no opinion on anything.
func reconcile(req *sdk.Request[replicaSet]) (*sdk.Response, error) {
	template := req.Object.Spec.Template.Spec
	log := sdk.Log.With("replicaSet", req.Name, "containers", names(template.Containers))
	if len(template.InitContainers) > 0 {
		log = log.With("initContainers", names(template.InitContainers))
	}
	log.Info("ReplicaSet has containers")
	return nil, nil
}

func names(containers []container) []string {
	list := make([]string, len(containers))
	for i, c := range containers {
		list[i] = c.Name
	}
	return list
}
