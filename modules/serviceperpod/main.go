// Command serviceperpod is a Wasmloop module that gives each Pod of an annotated StatefulSet a Service of its own.
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

// portsAnnotation says of a StatefulSet which ports the Services have.
const portsAnnotation = "serviceperpod.example.com/ports"

// podLabel is what Kubernetes labels the Pods of a StatefulSet with: their name.
const podLabel = "statefulset.kubernetes.io/pod-name"

// reconcile wants a Service for each Pod. When the StatefulSet goes, or loses its annotation, so do they.
func reconcile(req *sdk.Request[StatefulSet]) (*sdk.Response, error) {
	if req.Finalizing {
		return (&sdk.Response{Finalized: true}).Own(), nil
	}
	selector := req.Object.Spec.Selector
	resp := &sdk.Response{Related: []sdk.Related{{APIVersion: "v1", Kind: "Pod", LabelSelector: &selector}}}
	ports, err := parsePorts(req.Annotations[portsAnnotation])
	if err != nil {
		// Without an opinion on the children, what there is stays until the annotation is mended.
		return resp.Eventf(sdk.EventWarning, "InvalidPorts", "annotation %s: %v", portsAnnotation, err), nil
	}
	names, err := names(req)
	if err != nil {
		return nil, err
	}
	resp.Own()
	for _, name := range names {
		resp.Own(service(name, ports))
	}
	return resp, nil
}

func service(pod string, ports []Port) Service {
	made := Service{Object: sdk.NewObject("v1", "Service", pod)}
	made.Spec = ServiceSpec{Selector: map[string]string{podLabel: pod}, Ports: ports}
	return made
}
