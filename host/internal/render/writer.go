package render

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wasmloop/wasmloop/host/internal/kube"
	"github.com/wasmloop/wasmloop/host/internal/render/apiserver"
)

// writer writes to the server as the host's client does, without HTTP between them. It implements apply.Writer.
type writer struct{ cluster *Cluster }

func (w writer) Apply(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error) {
	object, err := decodeBody(body)
	if err != nil {
		return nil, err
	}
	return w.do(ctx, id, &apiserver.Request{
		Verb: apiserver.Apply, Object: object, Manager: write.Manager, Subresource: write.Subresource, Force: true,
	})
}

func (w writer) Patch(ctx context.Context, id kube.ID, body []byte, write kube.Write) (*kube.Object, error) {
	return w.do(ctx, id, &apiserver.Request{
		Verb: apiserver.Patch, PatchType: types.MergePatchType, Body: body, Manager: write.Manager, Subresource: write.Subresource,
	})
}

func (w writer) TryCreate(ctx context.Context, id kube.ID, body []byte, write kube.Write) error {
	object, err := decodeBody(body)
	if err != nil {
		return err
	}
	id.Name = ""
	_, err = w.do(ctx, id, &apiserver.Request{Verb: apiserver.Create, Object: object, Manager: write.Manager, DryRun: true})
	return err
}

func (w writer) Delete(ctx context.Context, object *kube.Object) error {
	_, err := w.do(ctx, object.ID(), &apiserver.Request{Verb: apiserver.Delete, Delete: metav1.DeleteOptions{
		Preconditions:     &metav1.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	}})
	return err
}

func (w writer) do(ctx context.Context, id kube.ID, request *apiserver.Request) (*kube.Object, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	request.Kind, request.NamespacedName = id.GroupVersionKind, id.NamespacedName
	answer, err := w.cluster.server.Do(ctx, *request)
	if status := apierrors.APIStatus(nil); err != nil && !errors.As(err, &status) {
		err = &url.Error{Op: string(request.Verb), URL: id.String(), Err: err} // as when a connection breaks
	}
	if err != nil {
		return nil, err
	}
	return w.cluster.cache.parse(answer.Object, id.GroupVersionKind)
}

func decodeBody(body []byte) (*unstructured.Unstructured, error) {
	decoded, err := kube.DecodeJSON(body)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("cannot decode it: %v", err))
	}
	fields, isObject := decoded.(map[string]any)
	if !isObject {
		return nil, apierrors.NewBadRequest("it is no object")
	}
	return &unstructured.Unstructured{Object: fields}, nil
}
