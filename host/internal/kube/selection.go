package kube

import (
	"context"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// Selection says what of a kind is watched. The API server sends no more than this, and two that are equal are watched once.
type Selection struct {
	schema.GroupVersionKind
	// Namespace is where the objects are. Empty: everywhere.
	Namespace string
	// Labels and Fields are selectors, as in a list of the API server. Empty: all objects.
	Labels, Fields string
	// MetadataOnly has the API server leave out all but the objects' metadata.
	MetadataOnly bool
	// Keep are the paths of the fields that are kept of each object, see Paths. Empty: all.
	Keep Paths
}

// The content types of metadata alone, see https://kubernetes.io/docs/reference/using-api/api-concepts/.
const (
	metadataOfOne  = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
	metadataOfList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
)

// ObjectName returns the name of the one object that is selected, empty if there may be others.
func (s Selection) ObjectName() string {
	name, only := strings.CutPrefix(s.Fields, "metadata.name=")
	if !only || strings.Contains(name, ",") {
		return ""
	}
	return name
}

// list reads what there is.
func (s Selection) list(ctx context.Context, client *Client, options metav1.ListOptions) (*List, error) {
	request, err := s.request(client, &options, metadataOfList)
	if err != nil {
		return nil, err
	}
	return client.doList(ctx, request.VersionedParams(&options, metav1.ParameterCodec), s.GroupVersionKind, s.shape)
}

// watch follows what changes.
func (s Selection) watch(ctx context.Context, client *Client, options metav1.ListOptions) (watch.Interface, error) {
	options.Watch = true
	request, err := s.request(client, &options, metadataOfOne)
	if err != nil {
		return nil, err
	}
	changes, err := request.VersionedParams(&options, metav1.ParameterCodec).Watch(ctx)
	client.observe(verbWatch, s.GroupVersionKind, err)
	if err != nil {
		return nil, err
	}
	return watch.Filter(changes, func(event watch.Event) (watch.Event, bool) {
		if object, ok := event.Object.(*Object); ok && event.Type != watch.Bookmark {
			s.shape(object)
		}
		return event, true
	}), nil
}

func (s Selection) request(client *Client, options *metav1.ListOptions, metadata string) (*rest.Request, error) {
	options.LabelSelector, options.FieldSelector = s.Labels, s.Fields
	id := ID{GroupVersionKind: s.GroupVersionKind}
	id.Namespace = s.Namespace
	request, err := client.request(client.rest.Get(), id, "")
	if err == nil && s.MetadataOnly {
		request = request.SetHeader("Accept", metadata)
	}
	return request, err
}

// shape makes of a new object what is kept of it.
func (s Selection) shape(object *Object) {
	if s.MetadataOnly { // it says that it is metadata, and not of what
		object.rename(s.GroupVersionKind)
	}
	if s.Keep != "" {
		object.JSON = project(object.JSON, append(named(), s.Keep.split()...), true)
	}
}

// Paths are paths of fields: names with dots between them, and commas between paths.
type Paths string

// PathsOf returns Paths that are equal for the same paths in another order.
func PathsOf(paths ...string) Paths {
	return Paths(strings.Join(sortedSet(paths), ","))
}

func (p Paths) split() [][]string {
	var parts [][]string
	for path := range strings.SplitSeq(string(p), ",") {
		parts = append(parts, splitPath(path))
	}
	return parts
}
