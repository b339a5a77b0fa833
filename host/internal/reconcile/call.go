package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/apply"
	"github.com/wasmloop/wasmloop/sdk/abi"
)

// answer asks the module, again and again until it was given what it asks for. There is no answer if nothing is known to
// follow from it.
func (r *Reconciler) answer(ctx context.Context, name types.NamespacedName, observed *observation) (response *abi.Response, identity Identity, fault *fault) {
	for range maxRounds {
		request := r.request(observed)
		identity = r.identify(observed, request)
		if !r.controller.Clock && r.memory.settled(name, identity) || r.knownOutcome(name, identity) {
			return nil, identity, nil
		}
		if response, fault = r.call(ctx, name, observed, request); fault != nil {
			return nil, identity, fault
		}
		if sameRules(response.Related, r.dependencies.asked(name)) {
			return response, identity, nil
		}
		if err := r.relate(ctx, name, observed, response.Related); err != nil {
			return nil, identity, faultOf(reasonRelatedFailed, err)
		}
		// Only now, so that the next reconcile does not begin with what cannot be had.
		r.dependencies.ask(name, response.Related)
	}
	r.dependencies.ask(name, nil) // the next reconcile begins anew, and ends no better by chance
	return nil, identity, faultOf(reasonInvalidResponse, fmt.Errorf("the module asks for other related objects each time, %d times in a row", maxRounds))
}

// call asks the module, unless it has just answered the same request, and checks its answer.
func (r *Reconciler) call(ctx context.Context, name types.NamespacedName, observed *observation, request []byte) (*abi.Response, *fault) {
	sum := sha256.Sum256(request)
	encoded, known := r.memory.answer(name, sum)
	if !known {
		r.memory.called(name, r.now())
		var err error
		if encoded, err = r.module.Call(ctx, request, logTo(logr.FromContextOrDiscard(ctx))); err != nil {
			if ctx.Err() != nil {
				return nil, &fault{err: err} // we are being stopped
			}
			return nil, &fault{reason: reasonModuleFailed, err: err}
		}
		r.memory.answered(name, sum, encoded)
	}
	response, err := r.decode(name, observed, encoded)
	if err == nil {
		err = r.check(observed, response)
	}
	if err != nil {
		return nil, &fault{reason: reasonInvalidResponse, err: fmt.Errorf("invalid response from the module: %w", err)}
	}
	if response.Error != nil {
		return nil, &fault{reason: reasonModuleFailed, err: &reportedError{response.Error}}
	}
	return response, nil
}

// decode decodes an answer, without what it says of children if they are as it has left them.
func (r *Reconciler) decode(name types.NamespacedName, observed *observation, encoded []byte) (*abi.Response, error) {
	wanted, rest := split(encoded)
	observed.wanted = wanted
	if observed.asLeft = !observed.finalizing && r.memory.isLeft(name, observed.left()); observed.asLeft {
		encoded = rest
	}
	return abi.DecodeResponse(encoded)
}

// reportedError is an error that the module answered with.
type reportedError struct{ reported *abi.Error }

// Error returns the module's message.
func (e *reportedError) Error() string { return "module failed: " + e.reported.Message }

// Terminal says whether another try is of no use before something changes.
func (e *reportedError) Terminal() bool { return e.reported.Terminal }

// check checks what depends on the controller and the object, and completes the children's namespaces.
func (r *Reconciler) check(observed *observation, response *abi.Response) error {
	for i, rule := range response.Related {
		if err := r.checkRelated(rule, observed.object.Namespace); err != nil {
			return &abi.DecodeError{Path: fmt.Sprintf("related[%d]", i), Message: err.Error()}
		}
	}
	if response.RequeueAfter > 0 && !r.controller.Clock {
		return &abi.DecodeError{Path: "requeueAfter", Message: "needs clock: true in the controller's config: without a clock the answer would be the same again"}
	}
	for i, child := range response.Children {
		if err := r.checkChild(child, observed.object.Namespace); err != nil {
			return &abi.DecodeError{Path: fmt.Sprintf("children[%d]", i), Message: err.Error()}
		}
	}
	for i, kept := range response.Keep {
		if err := r.checkKept(kept, observed.object.Namespace); err != nil {
			return &abi.DecodeError{Path: fmt.Sprintf("keep[%d]", i), Message: err.Error()}
		}
	}
	return response.CheckChildren(reference(apply.OwnerOf(r.controller.Name, observed.object)))
}

func reference(owner apply.Owner) abi.Reference {
	return abi.Reference{
		APIVersion: owner.Kind.GroupVersion().String(), Kind: owner.Kind.Kind, Namespace: owner.Namespace, Name: owner.Name,
	}
}

// checkChild checks a child's kind and namespace. Where the child leaves its namespace out, the object's is filled in.
func (r *Reconciler) checkChild(child abi.Object, namespace string) error {
	named := child.Reference()
	kind, err := r.owned(named)
	switch {
	case err != nil:
		return err
	case !kind.Namespaced && named.Namespace != "":
		return fmt.Errorf("%s is cluster-scoped, and metadata.namespace is %q", named.Kind, named.Namespace)
	case kind.Namespaced && namespace == "" && named.Namespace == "":
		return errors.New("metadata.namespace: required, since the reconciled object has no namespace")
	case kind.Namespaced && named.Namespace != "" && !kind.allows(named.Namespace, namespace):
		return fmt.Errorf("metadata.namespace: %q is not the object's namespace %q: allow it by namespaces of %s in owns of the controller's config",
			named.Namespace, namespace, named.Kind)
	}
	if kind.Namespaced && named.Namespace == "" {
		child["metadata"].(map[string]any)["namespace"] = namespace
	}
	return nil
}

// checkKept refuses what can be no child, since the child that it is meant for would be pruned.
func (r *Reconciler) checkKept(kept abi.Reference, namespace string) error {
	kind, err := r.owned(kept)
	switch {
	case err != nil:
		return err
	case !kind.Namespaced && kept.Namespace != "":
		return fmt.Errorf("%s is cluster-scoped, and namespace is %q", kept.Kind, kept.Namespace)
	case kind.Namespaced && namespace == "" && kept.Namespace == "":
		return errors.New("namespace: required, since the reconciled object has no namespace")
	default:
		return nil
	}
}

// allows says whether a child may be in a namespace, when the object is in that of object ("" if it is cluster-scoped).
func (k OwnedKind) allows(namespace, object string) bool {
	if namespace == object || object == "" && len(k.Namespaces) == 0 {
		return true
	}
	return slices.Contains(k.Namespaces, namespace) || slices.Contains(k.Namespaces, AllNamespaces)
}

// owned returns the declared kind of a child.
func (r *Reconciler) owned(child abi.Reference) (OwnedKind, error) {
	names := make([]string, 0, len(r.controller.Owns))
	for _, kind := range r.controller.Owns {
		apiVersion := kind.GroupVersion().String()
		if kind.Kind.Kind == child.Kind && apiVersion == child.APIVersion {
			return kind, nil
		}
		names = append(names, apiVersion+" "+kind.Kind.Kind)
	}
	return OwnedKind{}, fmt.Errorf("kind %s %s is not among what the controller owns %q: add it to owns in its config",
		child.APIVersion, child.Kind, names)
}

// logTo returns a function that logs a module's lines, which are either plain text or a JSON object with a msg.
func logTo(log logr.Logger) func(abi.Level, string) {
	log = log.WithValues("source", "module")
	return func(level abi.Level, line string) {
		message, values := parseLine(line)
		switch level {
		case abi.LevelDebug:
			log.V(1).Info(message, values...)
		case abi.LevelError:
			log.Error(nil, message, values...)
		case abi.LevelWarn:
			log.Info(message, append(values, "severity", "warning")...)
		default:
			log.Info(message, values...)
		}
	}
}

func parseLine(line string) (message string, values []any) {
	var fields map[string]any
	if line == "" || line[0] != '{' || json.Unmarshal([]byte(line), &fields) != nil {
		return line, nil
	}
	message, ok := fields["msg"].(string)
	if !ok {
		return line, nil
	}
	delete(fields, "msg")
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		values = append(values, key, fields[key])
	}
	return message, values
}
