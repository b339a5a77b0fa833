package main

import (
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// MarkdownView is the reconciled object.
type MarkdownView struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              Spec   `json:"spec"`
	Status            Status `json:"status,omitzero"`
}

// Spec says what to serve.
type Spec struct {
	Markdowns   map[string]string `json:"markdowns"`
	Replicas    int32             `json:"replicas,omitempty"`
	ViewerImage string            `json:"viewerImage,omitempty"`
}

// Status is how it is served.
type Status struct {
	ObservedGeneration int64  `json:"observedGeneration,omitempty"`
	Phase              string `json:"phase,omitempty"`
}

// MarkdownViewList is a list of them.
type MarkdownViewList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`
	Items           []MarkdownView `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (v *MarkdownView) DeepCopyObject() runtime.Object {
	c := v.deepCopy()
	return &c
}

func (v *MarkdownView) deepCopy() MarkdownView {
	c := *v
	v.DeepCopyInto(&c.ObjectMeta)
	c.Spec.Markdowns = maps.Clone(v.Spec.Markdowns)
	return c
}

// DeepCopyObject implements runtime.Object.
func (l *MarkdownViewList) DeepCopyObject() runtime.Object {
	c := *l
	c.Items = make([]MarkdownView, len(l.Items))
	for i := range l.Items {
		c.Items[i] = l.Items[i].deepCopy()
	}
	return &c
}
