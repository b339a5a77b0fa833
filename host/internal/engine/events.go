package engine

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// maxMessage is the longest message that the API server takes in an event, in bytes.
const maxMessage = 1024

// events records events on objects. It uses the core API rather than events.k8s.io, whose recorder takes two events
// with the same reason for the same, whatever they say.
type events struct {
	broadcaster record.EventBroadcaster
	manager     manager.Manager
}

func newEvents(cluster *rest.Config, mgr manager.Manager) (*events, error) {
	client, err := typedcorev1.NewForConfigAndClient(cluster, mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("cannot set up the recording of events: %w", err)
	}
	broadcaster := record.NewBroadcaster()
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.Events("")})
	return &events{broadcaster, mgr}, nil
}

func (e *events) stop() { e.broadcaster.Shutdown() }

// recorder returns a reconcile.Recorder whose events come from the controller of this name.
func (e *events) recorder(controller string) recorder {
	source := corev1.EventSource{Component: "wasmloop/" + controller}
	return recorder{e.broadcaster.NewRecorder(e.manager.GetScheme(), source)}
}

type recorder struct{ recorder record.EventRecorder }

// Event records an event on an object.
func (r recorder) Event(object *kube.Object, eventType, reason, message string) {
	r.eventOn(object.Reference(), eventType, reason, message)
}

// eventOn records an event on what a reference leads to.
func (r recorder) eventOn(subject runtime.Object, eventType, reason, message string) {
	r.recorder.Event(subject, eventType, reason, shortened(message))
}

// shortened returns as much of a message as the API server takes.
func shortened(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage-len("…")], "") + "…"
}
