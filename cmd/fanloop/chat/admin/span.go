package admin

import (
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traced has a span recorded for each request, below that of the caller if the request
// brings its traceparent.
func (h *Handler) traced(path string, serve http.HandlerFunc) http.HandlerFunc {
	tracer := h.config.Tracer
	if tracer == nil {
		return serve
	}
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, r.Method+" "+path, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", path)))
		defer span.End()
		answered := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		serve(answered, r.WithContext(ctx))
		span.SetAttributes(attribute.Int("http.response.status_code", answered.status))
		if answered.status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(answered.status))
		}
	}
}

// statusWriter keeps the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
