{{- define "timbre.name" -}}
{{- printf "%s" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "timbre.labels" -}}
app.kubernetes.io/name: timbre
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "timbre.selector" -}}
app.kubernetes.io/name: timbre
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "timbre.image" -}}
{{ .Values.image.repository }}:{{ if .Values.gpu.enabled }}{{ .Values.gpu.tag }}{{ else }}{{ .Values.image.tag }}{{ end }}
{{- end -}}

{{/* Nothing in the container needs root, a capability or a writable root file system. */}}
{{- define "timbre.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "timbre.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "timbre.registryEnv" -}}
- name: TIMBRE_REGISTRY
  value: {{ .Values.registry.url | default "/registry" | quote }}
{{- end -}}

{{- define "timbre.registryEnvFrom" -}}
{{- if .Values.registry.credentialsSecret }}
envFrom:
  - secretRef: {name: {{ .Values.registry.credentialsSecret }}}
{{- end }}
{{- end -}}

{{- define "timbre.registryMount" -}}
{{- if not .Values.registry.url }}
- {name: registry, mountPath: /registry, readOnly: {{ .readOnly }}}
{{- end }}
{{- end -}}

{{- define "timbre.registryVolume" -}}
{{- if not .Values.registry.url }}
- name: registry
  persistentVolumeClaim: {claimName: {{ required "registry.url or registry.existingClaim must be set" .Values.registry.existingClaim }}}
{{- end }}
{{- end -}}
