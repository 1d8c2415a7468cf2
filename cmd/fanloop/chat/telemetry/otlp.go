package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"github.com/fanloop-go/fanloop/loop"
)

// exporter implements sdk.SpanExporter. A request that fails is logged and not repeated.
type exporter struct {
	url    string
	log    *slog.Logger
	client *http.Client
	failed loop.Throttle // of the log
}

// ExportSpans implements sdk.SpanExporter.
func (e *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	if err := e.post(ctx, spans); err != nil {
		e.failed.Log(e.log, slog.LevelWarn, "spans cannot be sent to the collector", slog.Int("spans", len(spans)), slog.Any("err", err))
	}
	return nil
}

func (e *exporter) post(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	body, err := json.Marshal(requestOf(spans))
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := e.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection is kept
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the collector answered with status %d", response.StatusCode)
	}
	return nil
}

// Shutdown implements sdk.SpanExporter.
func (e *exporter) Shutdown(context.Context) error {
	e.client.CloseIdleConnections()
	return nil
}

// What follows is ExportTraceServiceRequest of OTLP in its JSON form: ids are in hex,
// 64-bit numbers are text, and members that are zero are left out.
type (
	request struct {
		ResourceSpans []resourceSpans `json:"resourceSpans"`
	}
	resourceSpans struct {
		Resource   attributed   `json:"resource"`
		ScopeSpans []scopeSpans `json:"scopeSpans"`
	}
	attributed struct {
		Attributes []keyValue `json:"attributes"`
	}
	scopeSpans struct {
		Scope struct {
			Name string `json:"name"`
		} `json:"scope"`
		Spans []span `json:"spans"`
	}
	span struct {
		TraceID    string     `json:"traceId"`
		SpanID     string     `json:"spanId"`
		ParentID   string     `json:"parentSpanId,omitempty"`
		TraceState string     `json:"traceState,omitempty"`
		Name       string     `json:"name"`
		Kind       int        `json:"kind"`
		Start      string     `json:"startTimeUnixNano"`
		End        string     `json:"endTimeUnixNano"`
		Attributes []keyValue `json:"attributes,omitempty"`
		Status     status     `json:"status"`
	}
	status struct {
		Code    int    `json:"code,omitempty"` // 1: OK, 2: error
		Message string `json:"message,omitempty"`
	}
	keyValue struct {
		Key   string   `json:"key"`
		Value anyValue `json:"value"`
	}
	anyValue struct {
		String *string `json:"stringValue,omitempty"`
		Int    *string `json:"intValue,omitempty"`
		Bool   *bool   `json:"boolValue,omitempty"`
	}
)

// requestOf makes a request of spans, which all have the same resource and scope.
func requestOf(spans []sdk.ReadOnlySpan) request {
	scope := scopeSpans{}
	scope.Scope.Name = spans[0].InstrumentationScope().Name
	for _, s := range spans {
		scope.Spans = append(scope.Spans, spanOf(s))
	}
	return request{[]resourceSpans{{
		Resource: attributed{valuesOf(spans[0].Resource().Attributes())}, ScopeSpans: []scopeSpans{scope},
	}}}
}

func spanOf(s sdk.ReadOnlySpan) span {
	of := s.SpanContext()
	one := span{
		TraceID: of.TraceID().String(), SpanID: of.SpanID().String(), TraceState: of.TraceState().String(),
		Name: s.Name(), Kind: int(s.SpanKind()), // the numbers are those of OTLP
		Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()), Attributes: valuesOf(s.Attributes()),
	}
	if parent := s.Parent(); parent.HasSpanID() {
		one.ParentID = parent.SpanID().String()
	}
	switch s.Status().Code {
	case codes.Ok:
		one.Status.Code = 1
	case codes.Error:
		one.Status = status{2, s.Status().Description}
	}
	return one
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func valuesOf(all []attribute.KeyValue) (values []keyValue) {
	for _, a := range all {
		one := keyValue{Key: string(a.Key)}
		switch a.Value.Type() {
		case attribute.INT64:
			one.Value.Int = new(strconv.FormatInt(a.Value.AsInt64(), 10))
		case attribute.BOOL:
			one.Value.Bool = new(a.Value.AsBool())
		default:
			one.Value.String = new(a.Value.String())
		}
		values = append(values, one)
	}
	return values
}
