{{- define "wasmloop.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* The names of what the chart makes leave room for the endings that it gives them. */}}
{{- define "wasmloop.fullname" -}}
{{- $name := include "wasmloop.name" . }}
{{- if .Values.fullnameOverride }}
{{- $name = .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- $name = .Release.Name }}
{{- else }}
{{- $name = printf "%s-%s" .Release.Name $name }}
{{- end }}
{{- $name | trunc 47 | trimSuffix "-" }}
{{- end }}

{{- define "wasmloop.selectorLabels" -}}
app.kubernetes.io/name: {{ include "wasmloop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: host
{{- end }}

{{- define "wasmloop.testLabels" -}}
app.kubernetes.io/name: {{ include "wasmloop.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: test
{{- end }}

{{- define "wasmloop.labels" -}}
{{- $labels := dict "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") }}
{{- $_ := set $labels "app.kubernetes.io/version" (.Chart.AppVersion | replace "+" "_" | trunc 63) }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $labels "app.kubernetes.io/part-of" "wasmloop" }}
{{- mergeOverwrite (deepCopy .Values.commonLabels) $labels (include "wasmloop.selectorLabels" . | fromYaml) | toYaml }}
{{- end }}

{{- define "wasmloop.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "wasmloop.fullname" .) }}
{{- end }}

{{- define "wasmloop.metricsName" -}}
{{- include "wasmloop.fullname" . }}-metrics
{{- end }}

{{- define "wasmloop.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- /* The list of a field that may be one map, a list, or left out. */}}
{{- define "wasmloop.list" -}}
{{- $items := list }}
{{- if kindIs "map" . }}
{{- $items = list . }}
{{- else if . }}
{{- $items = . }}
{{- end }}
{{- dict "items" $items | toJson }}
{{- end }}

{{- /* Annotations of what helm test makes; . is the order. */}}
{{- define "wasmloop.testHook" -}}
helm.sh/hook: test
helm.sh/hook-weight: {{ . | quote }}
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end }}
