package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
)

// write is a request that is being carried out.
type write struct {
	server  *Server
	ctx     context.Context // it lives as long as the request
	kind    *kind
	request *Request
	// internal writes are the server's own: nobody is asked whether they are admitted.
	internal bool
	// prepared is what an apply makes of the object that was there before the server was locked.
	prepared *prepared
}

// prepared is what comes of an apply to live, which is nil if there is no object.
type prepared struct {
	live, object *unstructured.Unstructured
	err          error
}

func (w *write) resource() schema.GroupResource { return w.kind.resource.GroupResource() }

func (w *write) existing() *unstructured.Unstructured {
	return w.server.objects[w.kind.GroupKind()][w.request.NamespacedName]
}

// create makes a new object of what was sent.
func (w *write) create() (*Answer, error) {
	object, err := w.decode(w.request.Object)
	if err != nil {
		return nil, err
	}
	forgetSystemFields(object)
	if err := w.place(object); err != nil {
		return nil, err
	}
	dedupOwners(object)
	if w.createAtOnce(object) == nil {
		object = w.managed(w.kind.empty(), object)
	}
	if object.GetName() == "" && object.GetGenerateName() != "" {
		object.SetName(object.GetGenerateName() + w.server.newName())
	}
	return w.insert(object)
}

// update replaces an object by what was sent.
func (w *write) update() (*Answer, error) {
	object, err := w.decode(w.request.Object)
	if err != nil {
		return nil, err
	}
	if err := w.place(object); err != nil {
		return nil, err
	}
	if err := w.named(object); err != nil {
		return nil, err
	}
	dedupOwners(object)
	live := w.existing()
	if uid := object.GetUID(); live != nil && uid != "" && uid != live.GetUID() {
		return nil, apierrors.NewConflict(w.resource(), w.request.Name,
			fmt.Errorf("precondition failed: UID in precondition: %v, UID in object meta: %v", uid, live.GetUID()))
	}
	return w.change(false, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		return w.managed(w.base(live), object), nil
	})
}

// patch applies a merge or JSON patch.
func (w *write) patch() (*Answer, error) {
	return w.change(false, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		base := w.base(live)
		before, err := json.Marshal(base.Object)
		if err != nil {
			return nil, err
		}
		after, err := applyPatch(w.request.PatchType, before, w.request.Body)
		if err != nil {
			return nil, err
		}
		invalid := func(err error) error {
			return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(after), err.Error())})
		}
		patched := map[string]any{}
		if err := kjson.UnmarshalCaseSensitivePreserveInts(after, &patched); err != nil {
			return nil, invalid(err)
		}
		decoded, unknown, err := w.kind.decode(patched)
		if err == nil && w.request.FieldValidation == metav1.FieldValidationStrict && len(unknown) > 0 {
			err = strictError(unknown)
		}
		if err != nil {
			return nil, invalid(err)
		}
		return w.managed(base, &unstructured.Unstructured{Object: decoded}), nil
	})
}

func applyPatch(patchType types.PatchType, before, patch []byte) (after []byte, err error) {
	switch patchType {
	case types.MergePatchType:
		if after, err = jsonpatch.MergePatch(before, patch); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return after, nil
	case types.JSONPatchType:
		decoded, err := jsonpatch.DecodePatch(patch)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if after, err = decoded.Apply(before); err != nil {
			return nil, apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
		}
		return after, nil
	default:
		return nil, unsupportedMediaType(string(patchType))
	}
}

// apply is a server-side apply.
func (w *write) apply() (*Answer, error) {
	if w.request.Manager == "" {
		return nil, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "PatchOptions"}, "", field.ErrorList{
			field.Required(field.NewPath("fieldManager"), "is required for apply patch"),
		})
	}
	mayCreate := w.request.Subresource == ""
	return w.change(mayCreate, func(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
		if w.prepared != nil && w.prepared.live == live {
			return w.prepared.object, w.prepared.err
		}
		return w.applied(live)
	})
}

// prepare works an apply out before the server is locked, which takes the most of its time. Stored objects never change.
func (w *write) prepare() {
	live, served := w.look()
	if !served || live == nil && w.request.Subresource != "" {
		return
	}
	w.prepared = &prepared{live: live}
	w.prepared.object, w.prepared.err = w.applied(live)
}

// look finds out which kind a request is for, and which object there is.
func (w *write) look() (live *unstructured.Unstructured, served bool) {
	w.server.mu.Lock()
	defer w.server.mu.Unlock()
	if w.kind = w.server.serving(w.request); w.kind == nil {
		return nil, false
	}
	return w.existing(), true
}

// applied returns what an apply makes of live.
func (w *write) applied(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	merged, err := w.merge(live)
	if err != nil {
		return nil, err
	}
	object, err := w.kind.merged(merged.Object, w.request.Subresource)
	if err != nil {
		return nil, err
	}
	result := &unstructured.Unstructured{Object: object}
	w.server.stampTimes(result, live)
	return result, nil
}

// merge makes of live, or of an empty object if there is none, what an apply makes of it.
func (w *write) merge(live *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if made := w.applyAtOnce(live); made != nil {
		return made, nil
	}
	manager := w.kind.managers[w.request.Subresource]
	merged, err := manager.Apply(w.base(live), w.request.Object.DeepCopy(), w.request.Manager, w.request.Force)
	if err != nil {
		return nil, err
	}
	return merged.(*unstructured.Unstructured), nil
}

func (w *write) applyAtOnce(live *unstructured.Unstructured) *unstructured.Unstructured {
	switch {
	case live == nil:
		return w.applyNew()
	case w.request.Subresource == "status":
		return w.applyStatus(live)
	default:
		return nil
	}
}

// base returns what a change of live begins with: a copy of it, or an empty object if there is none.
func (w *write) base(live *unstructured.Unstructured) *unstructured.Unstructured {
	if live == nil {
		return w.kind.empty()
	}
	return w.kind.present(live).DeepCopy()
}

// change stores what mutate makes of an object, which may be made anew if there is none.
func (w *write) change(mayCreate bool, mutate func(live *unstructured.Unstructured) (*unstructured.Unstructured, error)) (*Answer, error) {
	live := w.existing()
	if live == nil && !mayCreate {
		return nil, apierrors.NewNotFound(w.resource(), w.request.Name)
	}
	object, err := mutate(live)
	if err != nil {
		return nil, err
	}
	if uid := object.GetUID(); live == nil && uid != "" {
		return nil, apierrors.NewConflict(w.resource(), w.request.Name,
			fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid))
	}
	if err := w.place(object); err != nil {
		return nil, err
	}
	if err := w.named(object); err != nil {
		return nil, err
	}
	dedupOwners(object)
	if live == nil {
		return w.insert(object)
	}
	return w.replace(object, w.kind.present(live))
}

// insert stores an object that is not there yet.
func (w *write) insert(object *unstructured.Unstructured) (*Answer, error) {
	s := w.server
	if err := w.mayCreateIn(object.GetNamespace()); err != nil {
		return nil, err
	}
	object.SetUID(s.newUID(w.kind, object))
	object.SetCreationTimestamp(metav1.NewTime(s.options.Now()))
	w.kind.prepareCreate(object)
	if w.kind.GroupKind() == definitionKind {
		s.establish(object)
	}
	if errs := w.kind.validateAll(object, nil, ""); len(errs) > 0 {
		return nil, apierrors.NewInvalid(w.kind.GroupKind(), object.GetName(), errs)
	}
	if err := w.admit(object, nil); err != nil {
		return nil, err
	}
	if w.request.Verb == Create && object.GetResourceVersion() != "" {
		return nil, errors.New("resourceVersion should not be set on objects to be created")
	}
	if err := w.absent(object); err != nil {
		return nil, err
	}
	if err := w.kind.normalise(object.Object, ""); err != nil {
		return nil, err
	}
	if w.request.DryRun {
		object.SetResourceVersion("")
		return &Answer{Object: object, Created: true}, nil
	}
	return &Answer{Object: s.commit(w.kind, object, nil), Created: true}, nil
}

// absent refuses to create an object that exists.
func (w *write) absent(object *unstructured.Unstructured) error {
	there := w.server.objects[w.kind.GroupKind()][nameOf(object)]
	if there == nil {
		return nil
	}
	err := apierrors.NewAlreadyExists(w.resource(), object.GetName())
	if there.GetDeletionTimestamp() != nil {
		err.ErrStatus.Message = "object is being deleted: " + err.ErrStatus.Message
	}
	return err
}

// replace stores an object in the place of live.
func (w *write) replace(object, live *unstructured.Unstructured) (*Answer, error) {
	if err := w.checkVersion(object, live); err != nil {
		return nil, err
	}
	w.kind.prepareUpdate(object, live, w.request.Subresource)
	if errs := w.kind.validateAll(object, live, w.request.Subresource); len(errs) > 0 {
		return nil, apierrors.NewInvalid(w.kind.GroupKind(), object.GetName(), errs)
	}
	keepTimes(object, live)
	if err := w.admit(object, live); err != nil {
		return nil, err
	}
	if err := w.kind.normalise(object.Object, w.request.Subresource); err != nil {
		return nil, err
	}
	switch {
	case w.request.DryRun:
		return &Answer{Object: object}, nil
	case live.GetDeletionTimestamp() != nil && len(object.GetFinalizers()) == 0 && !w.kind.holdsContents(live):
		w.server.remove(w.kind, object, live)
		return &Answer{Object: object, Gone: true}, nil
	case isSame(object.Object, live.Object):
		return &Answer{Object: live}, nil
	}
	return &Answer{Object: w.server.commit(w.kind, object, live)}, nil
}

// checkVersion refuses a change of another version of an object than the one that is there.
func (w *write) checkVersion(object, live *unstructured.Unstructured) error {
	switch object.GetResourceVersion() {
	case live.GetResourceVersion():
		return nil
	case "", "0":
		if w.kind.custom {
			return apierrors.NewInvalid(schema.GroupKind{Group: w.kind.Group, Kind: w.resource().Resource}, w.request.Name, field.ErrorList{
				field.Invalid(field.NewPath("metadata", "resourceVersion"), 0, "must be specified for an update"),
			})
		}
		object.SetResourceVersion(live.GetResourceVersion())
		return nil
	default:
		return apierrors.NewConflict(w.resource(), w.request.Name,
			errors.New("the object has been modified; please apply your changes to the latest version and try again"))
	}
}

func (w *write) admit(object, old *unstructured.Unstructured) error {
	if w.internal || w.server.options.Admit == nil {
		return nil
	}
	return w.server.options.Admit(w.ctx, *w.request, object, old)
}

// decode decodes what a client has sent as a whole object.
func (w *write) decode(sent *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if gvk := sent.GroupVersionKind(); gvk != w.kind.GroupVersionKind {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s was sent where %s is expected", gvk, w.kind.GroupVersionKind))
	}
	decoded, unknown, err := w.kind.decode(sent.DeepCopy().Object)
	if err == nil && w.request.FieldValidation == metav1.FieldValidationStrict && len(unknown) > 0 {
		err = strictError(unknown)
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v",
			w.kind.Kind, w.kind.Version, w.kind.Kind, err))
	}
	return &unstructured.Unstructured{Object: decoded}, nil
}

func strictError(unknown []string) error {
	quoted := make([]string, len(unknown))
	for i, path := range unknown {
		quoted[i] = fmt.Sprintf("unknown field %q", path)
	}
	return fmt.Errorf("strict decoding error: %s", strings.Join(quoted, ", "))
}

// place puts an object where the request says, unless it says itself that it belongs elsewhere.
func (w *write) place(object *unstructured.Unstructured) error {
	switch said := object.GetNamespace(); {
	case !w.kind.namespaced:
		unstructured.RemoveNestedField(object.Object, "metadata", "namespace")
	case said == "":
		object.SetNamespace(w.request.Namespace)
	case said != w.request.Namespace:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	return nil
}

// named refuses an object that does not have the name in the request.
func (w *write) named(object *unstructured.Unstructured) error {
	switch name := object.GetName(); name {
	case w.request.Name:
		return nil
	case "":
		return apierrors.NewBadRequest("name must be provided")
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", name, w.request.Name))
	}
}

// mayCreateIn refuses objects in namespaces that do not exist or are going.
func (w *write) mayCreateIn(name string) error {
	if name == "" || w.server.options.AnyNamespace {
		return nil
	}
	namespace := w.server.objects[namespaceKind][types.NamespacedName{Name: name}]
	if namespace == nil {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
	}
	if namespace.GetDeletionTimestamp() == nil {
		return nil
	}
	err := apierrors.NewForbidden(w.resource(), w.request.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", name))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: "NamespaceTerminating", Message: fmt.Sprintf("namespace %s is being terminated", name), Field: "metadata.namespace",
	})
	return err
}

var namespaceKind = schema.GroupKind{Kind: "Namespace"}

// forgetSystemFields removes what only the server may say about a new object.
func forgetSystemFields(object *unstructured.Unstructured) {
	metadata, _ := object.Object["metadata"].(map[string]any)
	for _, name := range []string{"creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"} {
		delete(metadata, name)
	}
}

// dedupOwners removes owner references that are there twice.
func dedupOwners(object *unstructured.Unstructured) {
	metadata, _ := object.Object["metadata"].(map[string]any)
	owners, _ := metadata["ownerReferences"].([]any)
	if len(owners) < 2 {
		return
	}
	owners = slices.Clone(owners)
	kept := owners[:0]
	for _, owner := range owners {
		if !slices.ContainsFunc(kept, func(other any) bool { return isSame(owner, other) }) {
			kept = append(kept, owner)
		}
	}
	metadata["ownerReferences"] = kept
}
