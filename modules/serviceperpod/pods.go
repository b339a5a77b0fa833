package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/wasmloop/wasmloop/sdk"
)

// names returns the names of the Pods that are to have a Service: those that there are, and those whose Service there is and
// that the StatefulSet will make anew.
func names(req *sdk.Request[StatefulSet]) ([]string, error) {
	pods, err := sdk.RelatedObjects[Pod](req, "v1", "Pod")
	if err != nil {
		return nil, err
	}
	services, err := sdk.Children[Service](req, "v1", "Service")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, pod := range pods {
		if pod.controlledBy(req.UID) {
			names = append(names, pod.Metadata.Name)
		}
	}
	for _, service := range services {
		if req.Object.wants(service.Metadata.Name) {
			names = append(names, service.Metadata.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (p Pod) controlledBy(uid string) bool {
	return slices.ContainsFunc(p.Metadata.OwnerReferences, func(owner sdk.OwnerReference) bool {
		return owner.Controller && owner.UID == uid
	})
}

// wants says whether the StatefulSet should have a Pod of this name.
func (s StatefulSet) wants(pod string) bool {
	number, ok := strings.CutPrefix(pod, s.Metadata.Name+"-")
	ordinal, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || strconv.FormatInt(ordinal, 10) != number {
		return false
	}
	replicas := int64(1)
	if s.Spec.Replicas != nil {
		replicas = int64(*s.Spec.Replicas)
	}
	return ordinal >= s.Spec.Ordinals.Start && ordinal < s.Spec.Ordinals.Start+replicas
}
