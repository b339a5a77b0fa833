{{- /* Whether the sample is run, since no config is given. */}}
{{- define "wasmloop.sample" -}}
{{- if not (or .Values.config .Values.existingConfigMap) }}true{{ end }}
{{- end }}

{{- /* The host's config file as YAML; empty if a ConfigMap has it that the chart does not see. */}}
{{- define "wasmloop.config" -}}
{{- if .Values.config }}
{{- toYaml .Values.config }}
{{- else if include "wasmloop.sample" . -}}
apiVersion: wasmloop.dev/v1alpha1
kind: HostConfig
modules:
  serviceaddress:
    source: file:///modules/serviceaddress.wasm # the image has it
controllers:
  # Writes the address of each labelled Service of this namespace into a ConfigMap NAME-address.
  - name: serviceaddress
    module: serviceaddress
    for:
      apiVersion: v1
      kind: Service
      namespaces: [{{ .Release.Namespace | quote }}]
      labelSelector: {matchLabels: {{ include "wasmloop.sampleLabels" . | fromYaml | toJson }}}
      ignore: [status]
    owns:
      - {apiVersion: v1, kind: ConfigMap}
{{- end }}
{{- end }}

{{- define "wasmloop.sampleLabels" -}}
wasmloop.dev/sample: serviceaddress
{{- end }}

{{- define "wasmloop.configMapName" -}}
{{- .Values.existingConfigMap | default (printf "%s-config" (include "wasmloop.fullname" .)) }}
{{- end }}

{{- /* Refuses values that contradict each other. */}}
{{- define "wasmloop.check" -}}
{{- if and .Values.config .Values.existingConfigMap }}
{{- fail "config and existingConfigMap are both given: which of them is the host's config? Leave one out." }}
{{- end }}
{{- if and (gt (int .Values.replicas) 1) (not .Values.leaderElection.enabled) }}
{{- fail (printf "replicas is %d and leaderElection.enabled is false: the hosts would all write, each against the others. Enable it, or set replicas to 1." (int .Values.replicas)) }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false and serviceAccount.name is empty: name the ServiceAccount that the host is to use." }}
{{- end }}
{{- with .Values.podDisruptionBudget }}
{{- if not (or (kindIs "invalid" .minAvailable) (kindIs "invalid" .maxUnavailable)) }}
{{- fail "podDisruptionBudget.minAvailable and podDisruptionBudget.maxUnavailable are both given, and Kubernetes takes only one: leave one out." }}
{{- end }}
{{- end }}
{{- if and .Values.metrics.serviceMonitor.enabled (not .Values.metrics.enabled) }}
{{- fail "metrics.serviceMonitor.enabled is true and metrics.enabled is false: there would be nothing to read. Enable the metrics, too." }}
{{- end }}
{{- range (.Values.config | default dict).controllers }}
{{- if and .serviceAccount (not (regexMatch "^[^/]+/[^/]+$" .serviceAccount)) }}
{{- fail (printf "config: controller %s has the serviceAccount %s: it must be NAMESPACE/NAME." .name .serviceAccount) }}
{{- end }}
{{- if and .serviceAccount .tokenFile }}
{{- fail (printf "config: controller %s has both serviceAccount and tokenFile, and the token says whose it is: leave one out." .name) }}
{{- end }}
{{- end }}
{{- include "wasmloop.checkPorts" . }}
{{- $name := include "wasmloop.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) }}
{{- fail (printf "what the chart makes would be called %s, and a Service cannot be: give a fullnameOverride of letters, digits and dashes that begins with a letter." $name) }}
{{- end }}
{{- include "wasmloop.checkRBAC" . }}
{{- include "wasmloop.checkModules" . }}
{{- end }}

{{- define "wasmloop.checkPorts" -}}
{{- $taken := dict }}
{{- range $name := list "health" "metrics" "pprof" }}
{{- $of := index $.Values $name }}
{{- if or (eq $name "health") $of.enabled }}
{{- $port := int $of.port | toString }}
{{- with get $taken $port }}
{{- fail (printf "%s.port and %s.port are both %s: choose two." . $name $port) }}
{{- end }}
{{- $_ := set $taken $port $name }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wasmloop.checkRBAC" -}}
{{- with .Values.rbac }}
{{- if and (not .create) (or .wildcard .extraRules) }}
{{- fail "rbac.create is false, so that rbac.wildcard and rbac.extraRules would do nothing: leave them out, or set rbac.create to true." }}
{{- end }}
{{- if and .create $.Values.existingConfigMap (not .wildcard) (not .extraRules) }}
{{- fail "existingConfigMap is given, so that the chart does not see which rights the host needs: give them by rbac.extraRules, or set rbac.create to false and give them yourself." }}
{{- end }}
{{- end }}
{{- end }}

{{- define "wasmloop.checkModules" -}}
{{- $modules := (.Values.config | default dict).modules | default dict }}
{{- range (.Values.config | default dict).controllers }}
{{- if not (hasKey $modules .module) }}
{{- fail (printf "config: controller %s names module %s, which is not among config.modules." .name .module) }}
{{- end }}
{{- end }}
{{- $mounted := list }}
{{- range .Values.modules.volumes }}
{{- if has .name $mounted }}
{{- fail (printf "modules.volumes has two volumes named %s: rename one." .name) }}
{{- end }}
{{- $mounted = append $mounted .name }}
{{- end }}
{{- range $name, $module := $modules }}
{{- $volume := regexFind "^file:///modules/[^/]+/" $module.source | trimPrefix "file:///modules/" | trimSuffix "/" }}
{{- if and $volume (not (has $volume $mounted)) (not $.Values.extraVolumeMounts) }}
{{- fail (printf "config: module %s is in %s, and modules.volumes has no volume named %s." $name $module.source $volume) }}
{{- end }}
{{- end }}
{{- end }}
