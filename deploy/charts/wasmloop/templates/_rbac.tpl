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

{{- /* All rights that the values ask for, as JSON: grants by account, of which "" is the host's own and others are NAMESPACE/NAME. */}}
{{- define "wasmloop.accounts" -}}
{{- $host := dict }}
{{- $accounts := dict "" $host }}
{{- $config := include "wasmloop.config" . | fromYaml }}
{{- range $config.controllers }}
{{- include "wasmloop.grantController" (dict "accounts" $accounts "host" $host "own" (include "wasmloop.account" $) "values" $.Values "controller" .) }}
{{- end }}
{{- include "wasmloop.grantSources" (dict "grants" $host "config" $config) }}
{{- $here := dict "grants" $host "namespaces" (list .Release.Namespace) }}
{{- if $config.controllers }}
{{- include "wasmloop.grantEvents" $here }}
{{- end }}
{{- if .Values.leaderElection.enabled }}
{{- include "wasmloop.grantEvents" $here }}
{{- include "wasmloop.grantLease" (merge (dict "name" (include "wasmloop.fullname" .)) $here) }}
{{- end }}
{{- if and .Values.metrics.enabled .Values.metrics.secure }}
{{- $everywhere := dict "grants" $host "namespaces" (list "*") "verbs" (list "create") }}
{{- include "wasmloop.grant" (merge (dict "group" "authentication.k8s.io" "resource" "tokenreviews") $everywhere) }}
{{- include "wasmloop.grant" (merge (dict "group" "authorization.k8s.io" "resource" "subjectaccessreviews") $everywhere) }}
{{- end }}
{{- if .Values.rbac.wildcard }}
{{- $_ := set $accounts "" dict }}
{{- end }}
{{- toJson $accounts }}
{{- end }}

{{- define "wasmloop.grantEvents" -}}
{{- include "wasmloop.grant" (dict "grants" .grants "namespaces" .namespaces "group" "" "resource" "events" "verbs" (list "create" "patch")) }}
{{- end }}

{{- /* Whoever creates an object cannot be held to its name. */}}
{{- define "wasmloop.grantLease" -}}
{{- $lease := dict "grants" .grants "namespaces" .namespaces "group" "coordination.k8s.io" "resource" "leases" }}
{{- include "wasmloop.grant" (merge (dict "verbs" (list "create")) $lease) }}
{{- include "wasmloop.grant" (merge (dict "verbs" (list "get" "update") "names" (list .name)) $lease) }}
{{- end }}

{{- /* The host's own account, NAMESPACE/NAME. */}}
{{- define "wasmloop.account" -}}
{{- printf "%s/%s" .Release.Namespace (include "wasmloop.serviceAccountName" .) }}
{{- end }}

{{- /* The account that a controller acts as, "" for the host's own, "-" if nobody knows which it is. */}}
{{- define "wasmloop.accountOf" -}}
{{- if .controller.tokenFile }}
{{- get .values.rbac.tokenAccounts .controller.name | default "-" }}
{{- else }}
{{- .controller.serviceAccount | default "" }}
{{- end }}
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
{{- $account := include "wasmloop.accountOf" . }}
{{- if eq $account .own }}
{{- $account = "" }}
{{- end }}
{{- if not (hasKey .accounts $account) }}
{{- $_ := set .accounts $account dict }}
{{- end }}
{{- $grants := get .accounts $account }}
{{- if eq $account "-" }}
{{- $grants = dict }}
{{- $_ := unset .accounts "-" }}
{{- end }}
{{- if .controller.serviceAccount }}
{{- $parts := splitList "/" .controller.serviceAccount }}
{{- $in := list (index $parts 0) }}
{{- include "wasmloop.grant" (dict "grants" .host "namespaces" $in "group" "" "resource" "serviceaccounts" "names" (list (index $parts 1)) "verbs" (list "impersonate")) }}
{{- include "wasmloop.grantEvents" (dict "grants" .host "namespaces" $in) }}
{{- end }}
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
{{- /* merge takes the same dict twice for a loop, so that these two are set by themselves. */}}
{{- $context := dict "grants" .grants "values" .values "owns" $owns "reconciled" $reconciled "onlyCluster" $onlyCluster "selectsNamespaces" $selectsNamespaces }}
{{- range $fors }}
{{- include "wasmloop.grantReconciled" (set (set (merge (dict "kind" .) $context) "grants" $grants) "host" $.host) }}
{{- end }}
{{- range $owns }}
{{- include "wasmloop.grantOwned" (set (set (merge (dict "kind" .) $context) "grants" $grants) "host" $.host) }}
{{- end }}
{{- include "wasmloop.grantRelated" (set (merge (dict "related" (.controller.related | default dict)) $context) "grants" $grants) }}
{{- if $selectsNamespaces }}
{{- include "wasmloop.grant" (dict "grants" $grants "namespaces" (list "*") "group" "" "resource" "namespaces" "verbs" (list "list" "watch")) }}
{{- end }}
{{- end }}

{{- /* A reconciled kind is watched, and its labels, annotations, finalizers and status are patched. Of which the host holds but a part,
each object is read as a whole before its status is written. The host itself records events on it; those of cluster-scoped objects are in the namespace default. */}}
{{- define "wasmloop.grantReconciled" -}}
{{- $rule := dict "grants" .grants "group" (include "wasmloop.group" .kind.apiVersion) "resource" (include "wasmloop.resource" .) }}
{{- $cluster := include "wasmloop.isClusterScoped" . }}
{{- $namespaces := include "wasmloop.scope" (dict "namespaces" (.kind.namespaces | default (list "*")) "cluster" $cluster) | fromJsonArray }}
{{- $verbs := list "list" "watch" "patch" }}
{{- if or .kind.metadataOnly .kind.fields }}
{{- $verbs = append $verbs "get" }}
{{- end }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $namespaces "verbs" $verbs) $rule) }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $namespaces "verbs" (list "patch") "resource" (printf "%s/status" $rule.resource)) $rule) }}
{{- $events := ternary (list "default") $namespaces (not (empty $cluster)) }}
{{- include "wasmloop.grantEvents" (dict "grants" .host "namespaces" $events) }}
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
{{- include "wasmloop.grant" (merge (dict "namespaces" $read "verbs" (list "list" "watch")) $rule) }}
{{- include "wasmloop.grant" (merge (dict "namespaces" $write "verbs" $verbs) $rule) }}
{{- end }}

{{- /* Related objects are read. The API server holds a watch of one object to its name, so that such are granted by name. */}}
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
{{- if and (not .allNames) (le (len .names) 16) }}
{{- $names = sortAlpha .names }}
{{- end }}
{{- include "wasmloop.grant" (dict "grants" $.grants "namespaces" $namespaces "group" (include "wasmloop.group" .kind.apiVersion) "resource" (include "wasmloop.resource" $about) "names" $names "verbs" (list "list" "watch")) }}
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
{{- range list "get" "list" "watch" "create" "update" "patch" "delete" "impersonate" }}
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

{{- /* The roles of an account and their bindings: .grants in namespaces and, with .further rules, in the whole cluster. A role is .name in
the release's namespace and .clusterName elsewhere: what releases of one name in two namespaces make must not be called the same. */}}
{{- define "wasmloop.roles" -}}
{{- $rules := concat (include "wasmloop.rules" (dict "grants" .grants "namespace" "*") | fromYamlArray) .further }}
{{- if $rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .clusterName }}
  labels: {{- include "wasmloop.labels" .root | nindent 4 }}
rules: {{- toYaml $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .clusterName }}
  labels: {{- include "wasmloop.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .clusterName }}
subjects:
  - {{- toYaml .subject | nindent 4 }}
{{- end }}
{{- range $namespace := omit .grants "*" | keys | sortAlpha }}
{{- $roleName := ternary $.name $.clusterName (eq $namespace $.root.Release.Namespace) }}
{{- with include "wasmloop.rules" (dict "grants" $.grants "namespace" $namespace) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $roleName }}
  namespace: {{ $namespace | quote }}
  labels: {{- include "wasmloop.labels" $.root | nindent 4 }}
rules: {{- . | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $roleName }}
  namespace: {{ $namespace | quote }}
  labels: {{- include "wasmloop.labels" $.root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $roleName }}
subjects:
  - {{- toYaml $.subject | nindent 4 }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The name in the whole cluster of what the release makes there. */}}
{{- define "wasmloop.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "wasmloop.fullname" .) }}
{{- end }}
