package apply

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wasmloop/wasmloop/host/internal/kube"
)

// stamped is a desired child as it is sent to the API server.
type stamped struct {
	// hash is the value of AnnotationApplied.
	hash string
	// body is the child's encoding, and metadata where in it the fields of its metadata begin.
	body     []byte
	metadata int
	// controlled is true if the child says that its owner controls it. Then the API server refuses it when somebody else
	// has come to control the child.
	controlled bool
}

// stamp completes a desired child: without status and nulls, with owner reference and annotations.
func (o Owner) stamp(id kube.ID, child *unstructured.Unstructured, kind KindOptions) (*stamped, error) {
	delete(child.Object, "status")
	dropNulls(child.Object)
	moveStringData(child)
	if reference := o.reference(id, kind); reference != nil {
		child.SetOwnerReferences([]metav1.OwnerReference{*reference})
	}
	annotations := child.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationOwnedBy] = o.claim(id)
	annotations[AnnotationApplied] = noHash
	child.SetAnnotations(annotations)
	s := &stamped{controlled: controls(child)}
	if err := s.encode(child); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(s.body)
	s.hash = hex.EncodeToString(sum[:len(noHash)/2])
	s.fill()
	return s, nil
}

// noHash stands where the hash comes, so that the child need be encoded only once.
const noHash = "00000000000000000000000000000000"

// encode writes the child with its metadata first, so that fields can be added to it.
func (s *stamped) encode(child *unstructured.Unstructured) error {
	metadata, _ := child.Object["metadata"].(map[string]any)
	if s.body == nil {
		s.body = make([]byte, 0, 2<<10)
	}
	body, err := kube.AppendJSON(append(s.body[:0], `{"metadata":`...), metadata)
	if err != nil {
		return fmt.Errorf("cannot encode its metadata: %w", err)
	}
	s.metadata = len(`{"metadata":{`)
	rest := maps.Clone(child.Object)
	delete(rest, "metadata")
	end := len(body)
	if body, err = kube.AppendJSON(body, rest); err != nil { // never empty: it has a kind
		return fmt.Errorf("cannot encode it: %w", err)
	}
	body[end] = ',' // instead of its brace
	s.body = body
	s.fill()
	return nil
}

// fill puts the hash, when it is known, into its place.
func (s *stamped) fill() {
	place := []byte(`"` + AnnotationApplied + `":"`)
	if at := bytes.Index(s.body, append(place, noHash...)); at >= 0 && s.hash != "" {
		copy(s.body[at+len(place):], s.hash)
	}
}

// createOnly is a resourceVersion that no existing object has. The API server creates the object of an apply that
// carries it, or answers with a conflict if there is one by that name after all, whatever a stale cache said.
const createOnly = "1"

// create returns what creates the child, and changes none.
func (s *stamped) create() []byte { return s.with(`"resourceVersion":"` + createOnly + `",`) }

// update returns what changes this child, and no other: it is refused if that was replaced meanwhile, or, where it could
// have become somebody else's unnoticed, if anything about it was changed.
func (s *stamped) update(existing *kube.Object) []byte {
	field := `"uid":"` + string(existing.UID) + `",`
	if !s.controlled {
		field += `"resourceVersion":"` + existing.ResourceVersion + `",`
	}
	return s.with(field)
}

func controls(child *unstructured.Unstructured) bool {
	return metav1.GetControllerOfNoCopy(child) != nil
}

func (s *stamped) with(field string) []byte {
	body := make([]byte, 0, len(s.body)+len(field))
	body = append(body, s.body[:s.metadata]...)
	body = append(body, field...)
	return append(body, s.body[s.metadata:]...)
}

var secretKind = schema.GroupVersionKind{Version: "v1", Kind: "Secret"}

// moveStringData does with a Secret's stringData what the API server does: it is only a way to write data, and the server
// does not say of it when somebody has changed what came of it.
func moveStringData(child *unstructured.Unstructured) {
	plain, isObject := child.Object["stringData"].(map[string]any)
	data, hasData := child.Object["data"].(map[string]any)
	if child.GroupVersionKind() != secretKind || !isObject || !hasData && child.Object["data"] != nil {
		return // whatever is wrong with it, the API server says so
	}
	moved := maps.Clone(data)
	if moved == nil {
		moved = map[string]any{}
	}
	for key, value := range plain {
		text, ok := value.(string)
		if !ok {
			return
		}
		moved[key] = base64.StdEncoding.EncodeToString([]byte(text))
	}
	child.Object["data"] = moved
	delete(child.Object, "stringData")
}

// dropNulls removes null fields: they say the same as absent ones, and nobody could own them.
func dropNulls(value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, item := range v {
			if item == nil {
				delete(v, key)
			} else {
				dropNulls(item)
			}
		}
	case []any:
		for _, item := range v {
			dropNulls(item)
		}
	}
}
