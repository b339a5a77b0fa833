// Command daemonjob is a Wasmloop module that runs a task to its end on each node, by means of a DaemonSet that it takes
// away when the task is done everywhere.
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

// reconcile wants the DaemonSet until the status says that the job is complete, and nothing from then on. So the DaemonSet
// goes only when it is written down that it may: whatever happens in between, the task is not run a second time.
func reconcile(req *sdk.Request[DaemonJob]) (*sdk.Response, error) {
	job := req.Object
	job.setDefaults()
	if job.complete() {
		return new(sdk.Response).Own(), nil // the status stays as it is
	}
	set, _, err := sdk.Child[observedDaemonSet](req, "apps/v1", "DaemonSet", setName(req.Name))
	if err != nil {
		return nil, err
	}
	resp := &sdk.Response{Status: statusOf(job, req.Generation, set)}
	return resp.Own(daemonSet(job)), nil
}
