package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// recreatePause is how long a child that was deleted to be made anew must live before that happens again; each further
// time in a row doubles it, up to an hour. A module whose answers never fit what is there must not delete it for ever.
const recreatePause, longestRecreatePause = time.Minute, time.Hour

// recreation is when a child was last deleted to be made anew, what it was to become, and how often in a row.
type recreation struct {
	hash  string
	at    time.Time
	times int
}

// RecreateError says why a child that cannot be changed was not deleted to be made anew.
type RecreateError struct {
	// Refusal is what the API server says of the change.
	Refusal error
	// Reason is why the child was left alone.
	Reason string
	// Cause is the error underneath the reason, if there is one.
	Cause error
}

// Error says both.
func (e *RecreateError) Error() string {
	message := fmt.Sprintf("%v; it was not recreated: %s", e.Refusal, e.Reason)
	if e.Cause != nil {
		message += ": " + e.Cause.Error()
	}
	return message
}

// Unwrap returns the API server's refusal.
func (e *RecreateError) Unwrap() error { return e.Refusal }

// isImmutable says whether the API server may have refused a change since a field is immutable. It says the same of a
// value that is wrong.
func isImmutable(err error) bool { return apierrors.IsInvalid(err) && !IsReplaced(err) }

// IsReplaced says whether a write was refused since its object was replaced by another one of the same name. Whatever
// else the API server says of it then, it says of that one.
func IsReplaced(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(cause metav1.StatusCause) bool { return cause.Field == "metadata.uid" })
}

// recreate deletes a child that the API server refuses to change, if it would take the child were it new. What makes it
// anew is the next reconcile, when it is gone.
func (a *Applier) recreate(ctx context.Context, existing *kube.Object, desired *unstructured.Unstructured, hash string, refusal error) (*kube.Object, Action, error) {
	if err := a.mayRecreate(existing.ID(), hash, refusal); err != nil {
		return nil, Failed, err
	}
	body, err := asNew(desired)
	if err != nil {
		return nil, Failed, err
	}
	if err := a.writer.TryCreate(ctx, existing.ID(), body, kube.Write{Manager: a.manager}); err != nil {
		return nil, Failed, &RecreateError{refusal, "it would be refused as a new one too", err}
	}
	if err := a.delete(ctx, existing); err != nil {
		return nil, Failed, err
	}
	a.noteRecreated(existing.ID(), hash)
	return existing, Deleted, nil
}

// asNew encodes a desired child as one whose name does not matter.
func asNew(desired *unstructured.Unstructured) ([]byte, error) {
	nameless := desired.DeepCopy()
	nameless.SetName("")
	nameless.SetGenerateName("try-")
	body, err := kube.AppendJSON(nil, nameless.Object)
	if err != nil {
		return nil, fmt.Errorf("cannot encode it: %w", err)
	}
	return body, nil
}

func (a *Applier) mayRecreate(id kube.ID, hash string, refusal error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	last, ok := a.recreated[id]
	switch {
	case !ok:
		return nil
	case last.hash == hash && time.Since(last.at) < longestRecreatePause:
		return &RecreateError{Refusal: refusal, Reason: "it was recreated for this very content already"}
	case time.Since(last.at) < last.pause():
		reason := fmt.Sprintf("it was recreated %s ago, and that is not done again within %s", time.Since(last.at).Round(time.Second), last.pause())
		return &RecreateError{Refusal: refusal, Reason: reason}
	default:
		return nil
	}
}

func (r recreation) pause() time.Duration {
	return min(recreatePause<<min(r.times-1, 10), longestRecreatePause)
}

func (a *Applier) noteRecreated(id kube.ID, hash string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for other, last := range a.recreated {
		if time.Since(last.at) > 2*longestRecreatePause {
			delete(a.recreated, other)
		}
	}
	a.recreated[id] = recreation{hash, time.Now(), a.recreated[id].times + 1}
}
