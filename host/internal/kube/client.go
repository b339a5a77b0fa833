package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/wasmloop/wasmloop/sdk/abi"
)

// Client reads and writes objects of any kind on an API server. Its errors are those of apimachinery's api/errors. It is
// safe for concurrent use.
type Client struct {
	rest   rest.Interface
	mapper Mapper
	// Observe is told of each request: what is done to which kind, and how it ended. nil: nobody is. It may be set before the
	// first request.
	Observe func(verb string, kind schema.GroupVersionKind, err error)
}

// The verbs that Observe is told of.
const (
	verbApply  = "apply"
	verbPatch  = "patch"
	verbCreate = "create"
	verbDelete = "delete"
	verbGet    = "get"
	verbList   = "list"
	verbWatch  = "watch"
)

func (c *Client) observe(verb string, kind schema.GroupVersionKind, err error) {
	if c.Observe != nil {
		c.Observe(verb, kind, err)
	}
}

// Mapper says how kinds are served, as a meta.RESTMapper does.
type Mapper interface {
	RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error)
}

// NewClient returns a Client of the cluster that config leads to, over httpClient. mapper says how kinds are served.
func NewClient(config *rest.Config, httpClient *http.Client, mapper Mapper) (*Client, error) {
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = codec{}
	config.ContentType, config.AcceptContentTypes = "application/json", "application/json"
	config.GroupVersion = &schema.GroupVersion{}
	config.APIPath = "/"
	client, err := rest.UnversionedRESTClientForConfigAndClient(config, httpClient)
	if err != nil {
		return nil, fmt.Errorf("cannot set up a client of the cluster: %w", err)
	}
	return &Client{rest: client, mapper: mapper}, nil
}

// ID names an object.
type ID struct {
	schema.GroupVersionKind
	types.NamespacedName
}

// ID returns what names the object.
func (o *Object) ID() ID { return ID{o.Kind, o.NamespacedName} }

// String returns "Kind namespace/name", or "Kind name" for a cluster-scoped object.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// Write says who writes and what of the object.
type Write struct {
	// Manager is the field manager.
	Manager string
	// Subresource is "status", or empty for the object itself.
	Subresource string
}

// Apply applies an object server-side, and takes over fields of other managers. It returns the object as it is now.
func (c *Client) Apply(ctx context.Context, id ID, body []byte, write Write) (*Object, error) {
	request, err := c.request(c.rest.Patch(types.ApplyYAMLPatchType), id, write.Subresource)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, verbApply, request.Param("fieldManager", write.Manager).Param("force", "true").Body(body), id.GroupVersionKind)
}

// Patch changes an object by a JSON merge patch. It returns the object as it is now.
func (c *Client) Patch(ctx context.Context, id ID, body []byte, write Write) (*Object, error) {
	request, err := c.request(c.rest.Patch(types.MergePatchType), id, write.Subresource)
	if err != nil {
		return nil, err
	}
	return c.do(ctx, verbPatch, request.Param("fieldManager", write.Manager).Body(body), id.GroupVersionKind)
}

// TryCreate has the API server check whether it would create an object, in the namespace of id, and create none.
func (c *Client) TryCreate(ctx context.Context, id ID, body []byte, write Write) error {
	id.Name = ""
	request, err := c.request(c.rest.Post(), id, "")
	if err != nil {
		return err
	}
	request = request.SetHeader("Content-Type", "application/json").Param("dryRun", metav1.DryRunAll)
	err = request.Param("fieldManager", write.Manager).Body(body).Do(ctx).Error()
	c.observe(verbCreate, id.GroupVersionKind, err)
	return err
}

// Delete deletes an object if it is still just as it was seen; what it owns goes after it.
func (c *Client) Delete(ctx context.Context, object *Object) error {
	request, err := c.request(c.rest.Delete(), object.ID(), "")
	if err != nil {
		return err
	}
	body, err := json.Marshal(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions:     &metav1.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion},
		PropagationPolicy: new(metav1.DeletePropagationBackground),
	})
	if err != nil {
		return fmt.Errorf("cannot encode the deletion of %s: %w", object, err)
	}
	err = request.SetHeader("Content-Type", "application/json").Body(body).Do(ctx).Error()
	c.observe(verbDelete, object.Kind, err)
	return err
}

// Get reads an object, from the API server rather than from a cache.
func (c *Client) Get(ctx context.Context, id ID) (*Object, error) {
	request, err := c.request(c.rest.Get(), id, "")
	if err != nil {
		return nil, err
	}
	return c.do(ctx, verbGet, request, id.GroupVersionKind)
}

// List reads the objects of a kind that options select, in a namespace or in all ("").
func (c *Client) List(ctx context.Context, kind schema.GroupVersionKind, namespace string, options metav1.ListOptions) (*List, error) {
	request, err := c.request(c.rest.Get(), ID{kind, types.NamespacedName{Namespace: namespace}}, "")
	if err != nil {
		return nil, err
	}
	return c.doList(ctx, request.VersionedParams(&options, metav1.ParameterCodec), kind, nil)
}

func (c *Client) doList(ctx context.Context, request *rest.Request, kind schema.GroupVersionKind, shape func(*Object)) (*List, error) {
	body, err := bodyOf(ctx, request)
	c.observe(verbList, kind, err)
	if err != nil {
		return nil, err
	}
	return parseList(body, kind, shape)
}

// bodyOf makes a request and returns the body of the answer.
func bodyOf(ctx context.Context, request *rest.Request) ([]byte, error) {
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err
	}
	return result.Raw()
}

// pageSize is how many objects ListMetadata reads at a time.
const pageSize = 500

// ListMetadata reads the metadata of all objects of a kind, and hands them to visit one after the other. Their JSON is
// not that of the whole object.
func (c *Client) ListMetadata(ctx context.Context, kind schema.GroupVersionKind, visit func(*Object)) error {
	options := metav1.ListOptions{Limit: pageSize}
	for {
		request, err := c.request(c.rest.Get(), ID{GroupVersionKind: kind}, "")
		if err != nil {
			return err
		}
		request.WarningHandler(rest.NoWarnings{}) // who lists whatever there is need not hear that a kind is deprecated
		list, err := c.doList(ctx, request.SetHeader("Accept", metadataOfList).VersionedParams(&options, metav1.ParameterCodec), kind, nil)
		if err != nil {
			return err
		}
		for _, object := range list.Items {
			object.Kind = kind // the items say that they are metadata
			visit(object)
		}
		if options.Continue = list.Continue; options.Continue == "" {
			return nil
		}
	}
}

// request completes the path of a request: to an object, or to all of a kind when no name is given.
func (c *Client) request(request *rest.Request, id ID, subresource string) (*rest.Request, error) {
	mapping, err := c.mapper.RESTMapping(id.GroupKind(), id.Version)
	if err != nil {
		return nil, fmt.Errorf("cannot tell how the cluster serves kind %s: %w", id.Kind, err)
	}
	root := []string{"apis", id.Group, id.Version}
	if id.Group == "" {
		root = []string{"api", id.Version}
	}
	request = request.AbsPath(root...).Resource(mapping.Resource.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		request = request.NamespaceIfScoped(id.Namespace, id.Namespace != "")
	}
	if id.Name != "" {
		request = request.Name(id.Name)
	}
	if subresource != "" {
		request = request.SubResource(subresource)
	}
	return request, nil
}

func (c *Client) do(ctx context.Context, verb string, request *rest.Request, kind schema.GroupVersionKind) (*Object, error) {
	body, err := bodyOf(ctx, request)
	c.observe(verb, kind, err)
	if err != nil {
		return nil, err
	}
	return Parse(body, kind)
}

// List is the objects of a kind at one moment.
type List struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []*Object
}

// parseList decodes a list. shape, which may be nil, changes each object, before the next one is decoded.
func parseList(body []byte, kind schema.GroupVersionKind, shape func(*Object)) (*List, error) {
	list := &List{}
	err := abi.Fields(body, func(name string, value json.RawMessage) error {
		switch name {
		case "metadata":
			return json.Unmarshal(value, &list.ListMeta)
		case "items":
			if string(value) == "null" { // what no items are for some kinds
				return nil
			}
			return abi.Items(value, func(item json.RawMessage) error {
				object, err := Parse(item, kind)
				if err != nil {
					return err
				}
				if shape != nil {
					shape(object)
				}
				list.Items = append(list.Items, object)
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot decode a list of kind %s: %w", kind.Kind, err)
	}
	return list, nil
}
