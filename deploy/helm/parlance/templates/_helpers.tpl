{{- define "parlance.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "parlance.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "parlance.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "parlance.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "parlance.selector" -}}
app.kubernetes.io/name: {{ include "parlance.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "parlance.labels" -}}
{{ include "parlance.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "parlance.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ include "parlance.fullname" . }}{{ else }}default{{ end -}}
{{- end -}}

{{/* Refuses values that contradict each other, in words. */}}
{{- define "parlance.check" -}}
{{- if not .Values.jwt.secret.name }}{{ fail "jwt.secret.name is not set: name the Secret with the key that tokens are signed with" }}{{ end -}}
{{- if not .Values.database.urlSecret.name -}}
{{- if gt (int .Values.replicas) 1 }}{{ fail "more than one replica needs PostgreSQL: set database.urlSecret.name" }}{{ end -}}
{{- if .Values.nats.url }}{{ fail "nats.url is set without database.urlSecret.name: nodes that speak with each other share a database" }}{{ end -}}
{{- else if and (gt (int .Values.replicas) 1) (not .Values.nats.url) -}}
{{- fail "more than one replica needs NATS: set nats.url" -}}
{{- end -}}
{{- if and .Values.nats.passwordSecret.name .Values.nats.credsSecret.name }}{{ fail "nats.passwordSecret and nats.credsSecret are both set; leave one out" }}{{ end -}}
{{- end -}}

{{/* The environment variable of a setting, as variableOf in src/config/settings.ts. */}}
{{- define "parlance.variable" -}}
PARLANCE_{{ regexReplaceAll "[A-Z]" . "_${0}" | upper }}
{{- end -}}

{{- define "parlance.probeReady" -}}
{{- if .Values.tls.secretName -}}
{{/* The kubelet's gRPC probe speaks no TLS; /readyz says the same. */}}
httpGet: { path: /readyz, port: http, scheme: HTTPS }
{{- else -}}
grpc: { port: 50051 }
{{- end -}}
{{- end -}}
