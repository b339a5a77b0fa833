// Command indexedjob is a Wasmloop module that runs a task once for each index of an IndexedJob, a few at a time.
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

// reconcile starts Pods for the next indexes that have none, as many as may run at the same time. Pods that are there are
// kept as they are: most of a Pod cannot be changed anyway, and finished ones have logs to be read.
func reconcile(req *sdk.Request[IndexedJob]) (*sdk.Response, error) {
	job := req.Object
	job.setDefaults()
	now, err := observe(req, job)
	if err != nil {
		return nil, err
	}
	resp := new(sdk.Response).Own()
	for _, index := range now.next(job) {
		resp.Own(pod(job, index))
		now.active++
	}
	for _, name := range now.pods {
		resp.Keep = append(resp.Keep, sdk.Reference{APIVersion: "v1", Kind: "Pod", Name: name})
	}
	resp.Status = now.status(job, req.Generation)
	return resp, nil
}

// observation is how far a job is.
type observation struct {
	// pods are the names of the Pods that there are, those of indexes that are not wanted any more left out.
	pods []string
	// has says which indexes have a Pod.
	has map[int]bool
	// active is how many Pods are not finished.
	active int
	// succeeded and failed are the indexes that are finished.
	succeeded, failed indexes
}

// observe looks at the Pods, and at what the status remembers of Pods that are gone.
func observe(req *sdk.Request[IndexedJob], job IndexedJob) (*observation, error) {
	pods, err := sdk.Children[Pod](req, "v1", "Pod")
	if err != nil {
		return nil, err
	}
	byName := make(map[string]Pod, len(pods))
	for _, pod := range pods {
		byName[pod.Metadata.Name] = pod
	}
	now := &observation{
		has:       map[int]bool{},
		succeeded: parseIndexes(job.Status.CompletedIndexes, job.completions()),
		failed:    parseIndexes(job.Status.FailedIndexes, job.completions()),
	}
	for index := range job.completions() {
		if pod, found := byName[podName(req.Name, index)]; found {
			now.add(index, pod)
		}
	}
	return now, nil
}

func (o *observation) add(index int, pod Pod) {
	o.pods = append(o.pods, pod.Metadata.Name)
	o.has[index] = true
	switch {
	case o.finished(index): // and it stays so, whatever becomes of its Pod
	case pod.Status.Phase == "Succeeded":
		o.succeeded[index] = true
	case pod.Status.Phase == "Failed":
		o.failed[index] = true
	default:
		o.active++
	}
}

func (o *observation) finished(index int) bool { return o.succeeded[index] || o.failed[index] }

// next returns the indexes that are to be started now, the lowest first.
func (o *observation) next(job IndexedJob) (next []int) {
	for index := range job.completions() {
		if o.active+len(next) >= job.parallelism() {
			break
		}
		if !o.has[index] && !o.finished(index) {
			next = append(next, index)
		}
	}
	return next
}
