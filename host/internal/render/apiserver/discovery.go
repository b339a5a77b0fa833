package apiserver

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// discover returns what a discovery path says, nil if nothing is there.
func (s *Server) discover(path string) any {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case path == "/version":
		return map[string]any{"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
	case path == "/api":
		return metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions"}, Versions: []string{"v1"}}
	case path == "/apis":
		return s.groups()
	case parts[0] == "openapi" && len(parts) == 2 && parts[1] == "v3":
		return s.openAPIPaths()
	case parts[0] == "openapi" && len(parts) == 4 && parts[1] == "v3":
		return orNil(s.openAPIDocument(schema.GroupVersion{Version: parts[3]}))
	case parts[0] == "openapi" && len(parts) == 5 && parts[1] == "v3":
		return orNil(s.openAPIDocument(schema.GroupVersion{Group: parts[3], Version: parts[4]}))
	case parts[0] == "api" && len(parts) == 2:
		return s.resourcesOf(schema.GroupVersion{Version: parts[1]})
	case parts[0] == "apis" && len(parts) == 3:
		return s.resourcesOf(schema.GroupVersion{Group: parts[1], Version: parts[2]})
	}
	return nil
}

func orNil(document map[string]any) any {
	if document == nil {
		return nil
	}
	return document
}

func (s *Server) groups() metav1.APIGroupList {
	versions := map[string][]metav1.GroupVersionForDiscovery{}
	for gvk := range s.kinds {
		served := metav1.GroupVersionForDiscovery{GroupVersion: gvk.GroupVersion().String(), Version: gvk.Version}
		if gvk.Group != "" && !slices.Contains(versions[gvk.Group], served) {
			versions[gvk.Group] = append(versions[gvk.Group], served)
		}
	}
	list := metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}, Groups: []metav1.APIGroup{}}
	for group, served := range versions {
		slices.SortFunc(served, func(a, b metav1.GroupVersionForDiscovery) int { return strings.Compare(b.Version, a.Version) })
		list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: served, PreferredVersion: served[0]})
	}
	slices.SortFunc(list.Groups, func(a, b metav1.APIGroup) int { return strings.Compare(a.Name, b.Name) })
	return list
}

func (s *Server) resourcesOf(version schema.GroupVersion) any {
	list := metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version.String()}
	for gvr, k := range s.resources {
		if gvr.GroupVersion() != version {
			continue
		}
		list.APIResources = append(list.APIResources, metav1.APIResource{
			Name: gvr.Resource, SingularName: k.singular, Namespaced: k.namespaced, Kind: k.Kind, ShortNames: k.short,
			Verbs: metav1.Verbs{"create", "delete", "get", "list", "patch", "update", "watch"},
		})
		if k.status {
			list.APIResources = append(list.APIResources, metav1.APIResource{
				Name: gvr.Resource + "/status", Namespaced: k.namespaced, Kind: k.Kind, Verbs: metav1.Verbs{"get", "patch", "update"},
			})
		}
	}
	if list.APIResources == nil {
		return nil
	}
	slices.SortFunc(list.APIResources, func(a, b metav1.APIResource) int { return strings.Compare(a.Name, b.Name) })
	return list
}
