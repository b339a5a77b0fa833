{{- /*
The rights that a config needs. They are collected as grants: a dict of namespaces, "*" for the whole cluster, each with a dict of
rules. What the host does with objects is in host/internal: kube/client.go (the calls), engine/watches.go (what is watched where),
config/scope.go (in which namespaces objects may be).
*/}}

{{- /* Adds a rule to .grants in each of .namespaces: .verbs on .resource of .group, on those called .names if there are any. */}}
{{- define "wasmloop.grant" -}}
{{- $names := .names | default list }}
{{- $key := printf "%s/%s/%s" .group .resource ($names | join ",") }}
{{- range $namespace := .namespaces }}
{{- $rules := get $.grants $namespace | default dict }}
{{- $rule := get $rules $key | default (dict "group" $.group "resource" $.resource "names" $names "verbs" list) }}
{{- $_ := set $rule "verbs" (concat $rule.verbs $.verbs | uniq) }}
{{- $_ := set $rules $key $rule }}
{{- $_ := set $.grants $namespace $rules }}
{{- end }}
{{- end }}

{{- define "wasmloop.group" -}}
{{- if contains "/" . }}{{ regexReplaceAll "/.*" . "" }}{{ end }}
{{- end }}

{{- /* GROUP/KIND of .kind, or KIND in the core group. */}}
{{- define "wasmloop.groupKind" -}}
{{- list (include "wasmloop.group" .apiVersion) .kind | compact | join "/" }}
{{- end }}

{{- /* The plural of .kind, as .values.rbac.resources has it, or as nearly all kinds have it. */}}
{{- define "wasmloop.resource" -}}
{{- $given := get .values.rbac.resources (include "wasmloop.groupKind" .kind) }}
{{- $name := lower .kind.kind }}
{{- if $given }}
{{- $given }}
{{- else if hasSuffix "endpoints" $name }}
{{- $name }}
{{- else if regexMatch "(s|x|z|ch|sh)$" $name }}
{{- $name }}es
{{- else if regexMatch "[^aeiou]y$" $name }}
{{- trimSuffix "y" $name }}ies
{{- else }}
{{- $name }}s
{{- end }}
{{- end }}

{{- /* Whether .kind is cluster-scoped: those of Kubernetes are known, others are in .values.rbac.clusterScoped. */}}
{{- define "wasmloop.isClusterScoped" -}}
{{- $groupKind := include "wasmloop.groupKind" .kind }}
{{- $builtIn := list "Namespace" "Node" "PersistentVolume" "ComponentStatus"
  "admissionregistration.k8s.io/MutatingAdmissionPolicy" "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding"
  "admissionregistration.k8s.io/MutatingWebhookConfiguration" "admissionregistration.k8s.io/ValidatingAdmissionPolicy"
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding" "admissionregistration.k8s.io/ValidatingWebhookConfiguration"
  "apiextensions.k8s.io/CustomResourceDefinition" "apiregistration.k8s.io/APIService"
  "certificates.k8s.io/CertificateSigningRequest" "certificates.k8s.io/ClusterTrustBundle"
  "flowcontrol.apiserver.k8s.io/FlowSchema" "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration"
  "internal.apiserver.k8s.io/StorageVersion" "networking.k8s.io/IngressClass" "networking.k8s.io/IPAddress" "networking.k8s.io/ServiceCIDR"
  "node.k8s.io/RuntimeClass" "rbac.authorization.k8s.io/ClusterRole" "rbac.authorization.k8s.io/ClusterRoleBinding"
  "resource.k8s.io/DeviceClass" "resource.k8s.io/DeviceTaintRule" "resource.k8s.io/ResourceSlice" "scheduling.k8s.io/PriorityClass"
  "storage.k8s.io/CSIDriver" "storage.k8s.io/CSINode" "storage.k8s.io/StorageClass" "storage.k8s.io/VolumeAttachment"
  "storage.k8s.io/VolumeAttributesClass" "storagemigration.k8s.io/StorageVersionMigration" }}
{{- if or (has $groupKind $builtIn) (has $groupKind .values.rbac.clusterScoped) }}true{{ end }}
{{- end }}

{{- /* A JSON list of .namespaces, which is ["*"] if it stands for all, or if the objects are in none. */}}
{{- define "wasmloop.scope" -}}
{{- $namespaces := .namespaces | default list }}
{{- if or .cluster (has "*" $namespaces) (has "" $namespaces) }}
{{- $namespaces = list "*" }}
{{- end }}
{{- $namespaces | uniq | sortAlpha | toJson }}
{{- end }}

{{- /* All rights that the values ask for, as JSON. */}}
{{- define "wasmloop.grants" -}}
{{- $grants := dict }}
{{- if not .Values.rbac.wildcard }}
{{- $config := include "wasmloop.config" . | fromYaml }}
{{- range $config.controllers }}
{{- include "wasmloop.grantController" (dict "grants" $grants "values" $.Values "controller" .) }}
{{- end }}
{{- include "wasmloop.grantSources" (dict "grants" $grants "config" $config) }}
{{- end }}
{{- if and .Values.leaderElection.enabled (not .Values.rbac.wildcard) }}
{{- include "wasmloop.grantLease" (dict "grants" $grants "namespaces" (list .Release.Namespace)) }}
{{- end }}
{{- toJson $grants }}
{{- end }}

{{- /* Whoever creates an object cannot be held to its name. */}}
{{- define "wasmloop.grantLease" -}}
{{- $lease := dict "grants" .grants "namespaces" .namespaces "group" "coordination.k8s.io" "resource" "leases" }}
{{- include "wasmloop.grant" (merge (dict "verbs" (list "create")) $lease) }}
{{- include "wasmloop.grant" (merge (dict "verbs" (list "get" "update") "names" (list "wasmloop.wasmloop.dev")) $lease) }}
{{- include "wasmloop.grant" (dict "grants" .grants "namespaces" .namespaces "group" "" "resource" "events" "verbs" (list "create" "patch")) }}
{{- end }}

{{- /* What modules are fetched with and from: pull secrets, and ConfigMaps. Modules without a controller are not fetched. */}}
{{- define "wasmloop.grantSources" -}}
{{- range .config.imagePullSecrets }}
{{- include "wasmloop.grant" (dict "grants" $.grants "namespaces" (list .namespace) "group" "" "resource" "secrets" "names" (list .name) "verbs" (list "get")) }}
{{- end }}
{{- range .config.controllers }}
{{- $source := (get ($.config.modules | default dict) .module | default dict).source | default "" }}
{{- if hasPrefix "configmap://" $source }}
{{- $parts := trimPrefix "configmap://" $source | splitList "/" }}
{{- include "wasmloop.grant" (dict "grants" $.grants "namespaces" (list (index $parts 0)) "group" "" "resource" "configmaps" "names" (list (index $parts 1)) "verbs" (list "get")) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wasmloop.grantController" -}}
{{- $fors := (include "wasmloop.list" .controller.for | fromJson).items }}
{{- $owns := .controller.owns | default list }}
{{- $reconciled := list }}
{{- $onlyCluster := true }}
{{- $selectsNamespaces := false }}
{{- range $fors }}
{{- $reconciled = concat $reconciled (.namespaces | default (list "*")) }}
{{- if not (include "wasmloop.isClusterScoped" (dict "values" $.values "kind" .)) }}
{{- $onlyCluster = false }}
{{- end }}
{{- if .namespaceSelector }}
{{- $selectsNamespaces = true }}
{{- end }}
{{- end }}
{{- $context := dict "grants" .grants "values" .values "owns" $owns "reconciled" $reconciled "onlyCluster" $onlyCluster "selectsNamespaces" $selectsNamespaces }}
{{- range $fors }}
{{- include "wasmloop.grantReconciled" (merge (dict "kind" .) $context) }}
{{- end }}
{{- range $owns }}
{{- include "wasmloop.grantOwned" (merge (dict "kind" .) $context) }}
{{- end }}
{{- include "wasmloop.grantRelated" (merge (dict "related" (.controller.related | default dict)) $context) }}
{{- if $selectsNamespaces }}
{{- include "wasmloop.grant" (dict "grants" .grants "namespaces" (list "*") "group" "" "resource" "namespaces" "verbs" (list "get" "list" "watch")) }}
{{- end }}
{{- end }}

{{- /* A reconciled kind is read, and its labels, annotations, finalizers and status are patched. One that is also owned is read in all
namespaces. Events of cluster-scoped objects are in the namespace default. */}}
{{- define "wasmloop.grantReconciled" -}}
{{- $rule := dict "grants" .grants "group" (include "wasmloop.group" .kind.apiVersion) "resource" (include "wasmloop.resource" .) }}
{{- $cluster := include "wasmloop.isClusterScoped" . }}
{{- $namespaces := include "wasmloop.scope" (dict "namespaces" (.kind.namespaces | default (list "*")) "cluster" $cluster) | fromJsonArray }}
{{- $read := $namespaces }}
{{- range .owns }}
{{- if and (eq .apiVersion $.kind.apiVersion) (eq .kind $.kind.kind) }}
{{- $read = list "*" }}
{{- end }}
{{- end }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $read "verbs" (list "get" "list" "watch")) $rule) }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $namespaces "verbs" (list "patch")) $rule) }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $namespaces "verbs" (list "patch") "resource" (printf "%s/status" $rule.resource)) $rule) }}
{{- $events := ternary (list "default") $namespaces (not (empty $cluster)) }}
{{- include "wasmloop.grant" (dict "grants" .grants "namespaces" $events "group" "" "resource" "events" "verbs" (list "create" "patch")) }}
{{- end }}

{{- /* Children are applied, which creates and patches, and deleted unless they are left behind. Those of a cluster-scoped object are looked
for in all namespaces, and written where they may be. */}}
{{- define "wasmloop.grantOwned" -}}
{{- $rule := dict "grants" .grants "group" (include "wasmloop.group" .kind.apiVersion) "resource" (include "wasmloop.resource" .) }}
{{- $cluster := include "wasmloop.isClusterScoped" . }}
{{- $beside := .kind.namespaces | default list }}
{{- $read := include "wasmloop.scope" (dict "namespaces" (concat .reconciled $beside) "cluster" $cluster) | fromJsonArray }}
{{- $write := $read }}
{{- if and .onlyCluster $beside }}
{{- $write = include "wasmloop.scope" (dict "namespaces" $beside "cluster" $cluster) | fromJsonArray }}
{{- end }}
{{- $verbs := list "create" "patch" }}
{{- if or (not (dig "prune" "orphan" false .kind)) (eq (.kind.updateStrategy | default "") "Recreate") }}
{{- $verbs = append $verbs "delete" }}
{{- end }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $read "verbs" (list "get" "list" "watch")) $rule) }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $write "verbs" $verbs) $rule) }}
{{- end }}

{{- /* Related objects are read. The API server holds a watch of one object to its name, so that such a kind is granted by name. */}}
{{- define "wasmloop.grantRelated" -}}
{{- $scopes := dict }}
{{- range .related.rules }}
{{- $namespaces := $.reconciled }}
{{- if .namespace }}
{{- $namespaces = list .namespace }}
{{- end }}
{{- include "wasmloop.widen" (dict "scopes" $scopes "kind" . "namespaces" $namespaces) }}
{{- end }}
{{- range .related.allow }}
{{- include "wasmloop.widen" (dict "scopes" $scopes "kind" . "namespaces" (concat $.reconciled (.namespaces | default list))) }}
{{- end }}
{{- range $scopes }}
{{- $about := dict "values" $.values "kind" .kind }}
{{- $namespaces := include "wasmloop.scope" (dict "namespaces" .namespaces "cluster" (include "wasmloop.isClusterScoped" $about)) | fromJsonArray }}
{{- $names := list }}
{{- if and (not .allNames) (eq (len .names) 1) }}
{{- $names = .names }}
{{- end }}
{{- include "wasmloop.grant" (dict "grants" $.grants "namespaces" $namespaces "group" (include "wasmloop.group" .kind.apiVersion) "resource" (include "wasmloop.resource" $about) "names" $names "verbs" (list "get" "list" "watch")) }}
{{- end }}
{{- end }}

{{- /* Adds to .scopes what a rule or an allowed kind asks for: one watch serves all of them. */}}
{{- define "wasmloop.widen" -}}
{{- $key := printf "%s %s" .kind.apiVersion .kind.kind }}
{{- $scope := get .scopes $key | default (dict "kind" .kind "namespaces" list "names" list "allNames" false) }}
{{- $_ := set $scope "namespaces" (concat $scope.namespaces .namespaces) }}
{{- $_ := set $scope "names" (concat $scope.names (.kind.names | default list) | uniq) }}
{{- $_ := set $scope "allNames" (or $scope.allNames (empty .kind.names)) }}
{{- $_ := set .scopes $key $scope }}
{{- end }}

{{- /* The rules of a Role in .namespace of .grants, as YAML. What they, or the ClusterRole, have for all names they need not have again. */}}
{{- define "wasmloop.rules" -}}
{{- $everywhere := dict }}
{{- if ne .namespace "*" }}
{{- $everywhere = get .grants "*" | default dict }}
{{- end }}
{{- $rules := list }}
{{- range $key, $rule := get .grants .namespace | default dict }}
{{- $has := concat (dig $key "verbs" list $everywhere) (dig (printf "%s/%s/" $rule.group $rule.resource) "verbs" list $everywhere) }}
{{- if $rule.names }}
{{- $has = concat $has (dig (printf "%s/%s/" $rule.group $rule.resource) "verbs" list (get $.grants $.namespace)) }}
{{- end }}
{{- $verbs := list }}
{{- range list "get" "list" "watch" "create" "update" "patch" "delete" }}
{{- if and (has . $rule.verbs) (not (has . $has)) }}
{{- $verbs = append $verbs . }}
{{- end }}
{{- end }}
{{- if $verbs }}
{{- $granted := dict "apiGroups" (list $rule.group) "resources" (list $rule.resource) "verbs" $verbs }}
{{- if $rule.names }}
{{- $_ := set $granted "resourceNames" $rule.names }}
{{- end }}
{{- $rules = append $rules $granted }}
{{- end }}
{{- end }}
{{- if $rules }}
{{- toYaml $rules }}
{{- end }}
{{- end }}

{{- define "wasmloop.subjects" -}}
- kind: ServiceAccount
  name: {{ include "wasmloop.serviceAccountName" . }}
  namespace: {{ .Release.Namespace | quote }}
{{- end }}
