// Command markdownview is a Wasmloop module that serves each MarkdownView's text as a book on the web.
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

// reconcile says all that should exist for a MarkdownView, whatever may have changed.
func reconcile(req *sdk.Request[MarkdownView]) (*sdk.Response, error) {
	view := req.Object
	view.setDefaults()
	deployment, found, err := sdk.Child[observedDeployment](req, "apps/v1", "Deployment", viewerName(req.Name))
	if err != nil {
		return nil, err
	}
	status := Status{ObservedGeneration: req.Generation}
	if found {
		status.observe(view, deployment)
	} else {
		status.observeNothing()
	}
	if problem := view.problem(); problem != "" {
		return invalid(status, problem), nil
	}
	resp := &sdk.Response{Status: status}
	return resp.Own(configMap(view), deploymentFor(view), service(view)), nil
}

// invalid is the response for a spec that cannot be served. It has no opinion on the children, so that the last good
// version stays up, and it is no error: an error would leave the status as it was.
func invalid(status Status, problem string) *sdk.Response {
	status.degrade("InvalidSpec", problem)
	resp := &sdk.Response{Status: status}
	return resp.Eventf(sdk.EventWarning, "InvalidSpec", "%s", problem)
}
