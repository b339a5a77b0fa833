package differential

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// notDefaulted are the fields of built-in kinds that the real server sets and the in-memory one does not. This is the only
// difference between their objects that the tests overlook. "*" is each item of a list.
var notDefaulted = map[string][]string{
	"Deployment": {
		"spec.progressDeadlineSeconds", "spec.revisionHistoryLimit", "spec.strategy",
		"spec.template.spec.dnsPolicy", "spec.template.spec.restartPolicy", "spec.template.spec.schedulerName",
		"spec.template.spec.securityContext", "spec.template.spec.terminationGracePeriodSeconds",
		"spec.template.spec.containers.*.imagePullPolicy", "spec.template.spec.containers.*.terminationMessagePath",
		"spec.template.spec.containers.*.terminationMessagePolicy",
	},
	"StatefulSet": {
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.updateStrategy", "spec.persistentVolumeClaimRetentionPolicy",
		"spec.template.spec.dnsPolicy", "spec.template.spec.restartPolicy", "spec.template.spec.schedulerName",
		"spec.template.spec.securityContext", "spec.template.spec.terminationGracePeriodSeconds",
		"spec.template.spec.containers.*.imagePullPolicy", "spec.template.spec.containers.*.terminationMessagePath",
		"spec.template.spec.containers.*.terminationMessagePolicy",
	},
	"Service": {
		"spec.clusterIP", "spec.clusterIPs", "spec.internalTrafficPolicy", "spec.ipFamilies", "spec.ipFamilyPolicy",
		"spec.sessionAffinity", "spec.type", "spec.ports.*.targetPort",
	},
	"Job": {
		"spec.backoffLimit", "spec.completionMode", "spec.manualSelector", "spec.podReplacementPolicy", "spec.selector", "spec.suspend", "spec.parallelism", "spec.completions",
		"spec.template.metadata", "spec.template.spec.dnsPolicy", "spec.template.spec.schedulerName",
		"spec.template.spec.securityContext", "spec.template.spec.terminationGracePeriodSeconds",
		"spec.template.spec.containers.*.imagePullPolicy", "spec.template.spec.containers.*.terminationMessagePath",
		"spec.template.spec.containers.*.terminationMessagePolicy",
		"metadata.labels",
	},
}

// normalise returns an object without what differs from one server to the next: UIDs, times, versions, and the defaults
// above, in managedFields too.
func normalise(object *unstructured.Unstructured, namespace string) map[string]any {
	content := object.DeepCopy().Object
	metadata, _ := content["metadata"].(map[string]any)
	delete(metadata, "resourceVersion")
	for _, name := range []string{"uid", "creationTimestamp", "deletionTimestamp"} {
		if metadata[name] != nil {
			metadata[name] = "some " + name
		}
	}
	rename(metadata, namespace)
	for _, path := range notDefaulted[object.GetKind()] {
		strip(content, strings.Split(path, "."))
	}
	entries, _ := metadata["managedFields"].([]any)
	slices.SortFunc(entries, func(a, b any) int { return strings.Compare(entryKey(a), entryKey(b)) }) // they are sorted by time
	for _, item := range entries {
		entry, _ := item.(map[string]any)
		delete(entry, "time")
		for _, path := range notDefaulted[object.GetKind()] {
			stripFields(entry["fieldsV1"], strings.Split(path, "."))
		}
	}
	return content
}

func entryKey(entry any) string {
	fields, _ := entry.(map[string]any)
	return fmt.Sprint(fields["operation"], fields["manager"], fields["subresource"])
}

func rename(metadata map[string]any, namespace string) {
	for _, name := range []string{"name", "namespace"} {
		if metadata[name] == namespace {
			metadata[name] = "some namespace"
		}
	}
}

func strip(value any, path []string) {
	switch v := value.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(v, path[0])
			return
		}
		strip(v[path[0]], path[1:])
	case []any:
		for _, item := range v {
			strip(item, path[1:])
		}
	}
}

func stripFields(value any, path []string) {
	set, _ := value.(map[string]any)
	for name, below := range set {
		switch {
		case name != "f:"+path[0] && (path[0] != "*" || !strings.HasPrefix(name, "k:")):
		case len(path) == 1:
			delete(set, name)
		default:
			stripFields(below, path[1:])
		}
	}
}
