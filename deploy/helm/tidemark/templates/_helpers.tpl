{{- define "tidemark.name" -}}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{- end -}}
{{- /* Where Elasticsearch is, as YAML: of ECK, or as the values say. */ -}}
{{- define "tidemark.store" -}}
{{- if .Values.eck.enabled -}}
url: https://{{ include "tidemark.name" . }}-es-http:9200
userSecret: {{ .Values.eck.userSecret }}
password: { name: {{ .Values.eck.userSecret | quote }}, key: password }
ca: { name: {{ include "tidemark.name" . }}-es-http-certs-public, key: ca.crt }
replicas: {{ ternary 1 0 (gt (int .Values.eck.nodes) 1) }}
{{- else -}}
url: {{ .Values.store.url }}
password: {{- toYaml .Values.store.passwordSecret | nindent 2 }}
ca: {{- toYaml .Values.store.caSecret | nindent 2 }}
{{- end -}}
{{- end -}}
{{- define "tidemark.labels" -}}
app.kubernetes.io/name: tidemark
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
