package apiserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Config returns the config of clients whose requests end here, without a network between.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: "http://apiserver.in-memory", Transport: s, QPS: -1}
}

// RoundTrip answers an HTTP request. It implements http.RoundTripper.
func (s *Server) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		defer func() { _ = request.Body.Close() }() // it was only read
	}
	ctx := request.Context()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	response, err := s.respond(request)
	if err == nil && ctx.Err() != nil {
		err = ctx.Err() // it may have been carried out, but the client hears no more of it
	}
	if err != nil {
		return nil, err
	}
	response.Request = request
	return response, nil
}

// respond returns an error only if the connection is to break.
func (s *Server) respond(request *http.Request) (*http.Response, error) {
	if !accepts(request.Header) {
		return failure(apierrors.NewGenericServerResponse(http.StatusNotAcceptable, "", schema.GroupResource{}, "", "only the following media types are accepted: application/json", 0, false)), nil
	}
	s.mu.Lock()
	document := s.discover(request.URL.Path)
	s.mu.Unlock()
	if document != nil {
		return success(http.StatusOK, document), nil
	}
	parsed, err := s.parse(request)
	if err != nil {
		return failure(err), nil
	}
	if parsed.Verb == Watch {
		return s.watch(request, parsed)
	}
	answer, err := s.Do(request.Context(), *parsed)
	if err != nil {
		var status apierrors.APIStatus
		if !errors.As(err, &status) {
			return nil, err
		}
		return failure(err), nil
	}
	return s.encode(parsed, answer), nil
}

// accepts says whether a client can do with JSON.
func accepts(header http.Header) bool {
	accept := strings.Join(header.Values("Accept"), ",")
	if accept == "" {
		return true
	}
	for clause := range strings.SplitSeq(accept, ",") {
		mediaType, _, err := mime.ParseMediaType(clause)
		if err == nil && slices.Contains([]string{"application/json", "application/*", "*/*"}, mediaType) {
			return true
		}
	}
	return false
}

// parse makes a Request of an HTTP request.
func (s *Server) parse(request *http.Request) (*Request, error) {
	parsed := &Request{}
	k, err := s.parsePath(request.URL.Path, parsed)
	if err != nil {
		return nil, err
	}
	query := request.URL.Query()
	if parsed.Verb, err = verbOf(request.Method, query, parsed.Name); err != nil {
		return nil, apierrors.NewMethodNotSupported(k.resource.GroupResource(), strings.ToLower(request.Method))
	}
	parsed.LabelSelector, parsed.FieldSelector = query.Get("labelSelector"), query.Get("fieldSelector")
	parsed.DryRun = slices.Contains(query["dryRun"], metav1.DryRunAll)
	parsed.FieldValidation = query.Get("fieldValidation")
	parsed.Force = query.Get("force") == "true"
	parsed.Manager = query.Get("fieldManager")
	if !parsed.Verb.Writes() {
		return parsed, nil
	}
	return parsed, readBody(request, parsed)
}

// parsePath finds out which kind, object and subresource a path means.
func (s *Server) parsePath(path string, parsed *Request) (*kind, error) {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var resource schema.GroupVersionResource
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		resource.Version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		resource.Group, resource.Version, parts = parts[1], parts[2], parts[3:]
	default:
		return nil, errUnknown
	}
	if parts[0] == "namespaces" && len(parts) > 2 && !slices.Contains([]string{"status", "finalize"}, parts[2]) {
		parsed.Namespace, parts = parts[1], parts[2:]
	}
	resource.Resource = parts[0]
	s.mu.Lock()
	k := s.resources[resource]
	s.mu.Unlock()
	if k == nil || len(parts) > 3 || parsed.Namespace != "" && !k.namespaced {
		return nil, errUnknown
	}
	parsed.Kind = k.GroupVersionKind
	if len(parts) > 1 {
		parsed.Name = parts[1]
	}
	if len(parts) > 2 {
		parsed.Subresource = parts[2]
	}
	return k, nil
}

func verbOf(method string, query url.Values, name string) (Verb, error) {
	switch {
	case method == http.MethodGet && slices.Contains([]string{"true", "1"}, query.Get("watch")):
		return Watch, nil
	case method == http.MethodGet && name == "":
		return List, nil
	case method == http.MethodGet:
		return Get, nil
	case method == http.MethodPost && name == "":
		return Create, nil
	case method == http.MethodPut && name != "":
		return Update, nil
	case method == http.MethodPatch && name != "":
		return Patch, nil
	case method == http.MethodDelete && name != "":
		return Delete, nil
	}
	return "", errors.New("no such verb")
}

// readBody reads what a write sends.
func readBody(request *http.Request, parsed *Request) (err error) {
	var body []byte
	if request.Body != nil {
		if body, err = io.ReadAll(request.Body); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	mediaType, _, _ := mime.ParseMediaType(request.Header.Get("Content-Type"))
	switch parsed.Verb {
	case Patch:
		return readPatch(types.PatchType(mediaType), body, request, parsed)
	case Delete:
		if len(body) == 0 {
			return nil
		}
		if err := json.Unmarshal(body, &parsed.Delete); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
		parsed.DryRun = parsed.DryRun || slices.Contains(parsed.Delete.DryRun, metav1.DryRunAll)
		return invalidOptions("DeleteOptions", validation.ValidateDeleteOptions(&parsed.Delete).ToAggregate())
	default:
		parsed.Manager = managerOrAgent(parsed.Manager, request.UserAgent())
		if mediaType != "application/json" && mediaType != "" {
			return unsupportedMediaType(mediaType)
		}
		parsed.Object, err = decodeObject(body, parsed.Kind)
		return err
	}
}

func readPatch(patchType types.PatchType, body []byte, request *http.Request, parsed *Request) (err error) {
	options := &metav1.PatchOptions{FieldManager: parsed.Manager}
	if force := request.URL.Query().Get("force"); force != "" {
		options.Force = new(force == "true")
	}
	if errs := validation.ValidatePatchOptions(options, patchType); len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "PatchOptions"}, "", errs)
	}
	if patchType == types.ApplyYAMLPatchType {
		parsed.Verb = Apply
		if !json.Valid(body) { // JSON is YAML too, and most send it
			if body, err = yaml.YAMLToJSON(body); err != nil {
				return apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
			}
		}
		parsed.Object, err = decodeObject(body, schema.GroupVersionKind{})
		return err
	}
	parsed.Manager = managerOrAgent(parsed.Manager, request.UserAgent())
	parsed.PatchType, parsed.Body = patchType, body
	return nil
}

func invalidOptions(kind string, err error) error {
	if err == nil {
		return nil
	}
	return apierrors.NewBadRequest(kind + ": " + err.Error())
}

// managerOrAgent names the field manager after the client that does not name one.
func managerOrAgent(manager, agent string) string {
	if manager == "" {
		manager, _, _ = strings.Cut(agent, "/")
	}
	return manager
}

// decodeObject decodes JSON. What it does not say about its kind, the path of the request has said.
func decodeObject(body []byte, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	object := &unstructured.Unstructured{Object: map[string]any{}}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &object.Object); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if object.GroupVersionKind().Empty() && !gvk.Empty() {
		object.SetGroupVersionKind(gvk)
	}
	return object, nil
}

func unsupportedMediaType(mediaType string) error {
	return apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "", schema.GroupResource{}, "",
		fmt.Sprintf("the body of the request was in an unknown format (%s) - accepted media types include: application/json", mediaType), 0, false)
}

// encode makes an HTTP response of an answer.
func (s *Server) encode(request *Request, answer *Answer) *http.Response {
	switch {
	case request.Verb == List:
		return success(http.StatusOK, s.listOf(request, answer))
	case answer.Created:
		return success(http.StatusCreated, answer.Object.Object)
	case request.Verb == Delete && answer.Gone:
		return success(http.StatusOK, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
			Details: &metav1.StatusDetails{
				Name: request.Name, Group: request.Kind.Group, Kind: strings.ToLower(request.Kind.Kind), UID: answer.Object.GetUID(),
			},
		})
	}
	return success(http.StatusOK, answer.Object.Object)
}

// listOf encodes a list. The items of a list of a built-in kind do not say what they are.
func (s *Server) listOf(request *Request, answer *Answer) map[string]any {
	found := make([]any, len(answer.Items))
	builtin := !s.isCustom(request.Kind)
	for i, item := range answer.Items {
		found[i] = item.Object
		if builtin {
			found[i] = withoutKind(item.Object)
		}
	}
	return map[string]any{
		"apiVersion": request.Kind.GroupVersion().String(), "kind": request.Kind.Kind + "List",
		"metadata": map[string]any{"resourceVersion": strconv.FormatInt(answer.Version, 10)},
		"items":    found,
	}
}

func (s *Server) isCustom(gvk schema.GroupVersionKind) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kinds[gvk].custom
}

func withoutKind(object map[string]any) map[string]any {
	bare := make(map[string]any, len(object))
	for name, value := range object {
		if name != "apiVersion" && name != "kind" {
			bare[name] = value
		}
	}
	return bare
}

// failure makes the response of an error.
func failure(err error) *http.Response {
	var known apierrors.APIStatus
	if !errors.As(withStatus(err), &known) {
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.Kind, status.APIVersion = "Status", "v1"
	response := success(int(status.Code), status)
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		response.Header.Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	return response
}

func success(code int, value any) *http.Response {
	body, err := json.Marshal(value)
	if err != nil {
		return failure(fmt.Errorf("cannot encode the answer: %w", err))
	}
	return responseOf(code, io.NopCloser(bytes.NewReader(body)), int64(len(body)))
}

func responseOf(code int, body io.ReadCloser, length int64) *http.Response {
	return &http.Response{
		Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: body, ContentLength: length,
	}
}
