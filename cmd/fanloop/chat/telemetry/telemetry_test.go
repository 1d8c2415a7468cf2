package telemetry_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What a collector gets is OTLP in JSON.
func TestSpansAreSent(t *testing.T) {
	bodies := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v", r.URL, r.Header, err)
		}
		text, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(text)
	}))
	defer collector.Close()
	all := telemetry.New(telemetry.Config{URL: collector.URL + "/", Sample: 1, Node: "n1", Log: slog.New(slog.DiscardHandler)})
	ctx, outer := all.Tracer().Start(t.Context(), "outer", trace.WithSpanKind(trace.SpanKindServer))
	_, inner := all.Tracer().Start(ctx, "inner", trace.WithAttributes(attribute.String("s", "x"), attribute.Int("i", 7), attribute.Bool("b", true), attribute.Float64("f", 0.5)))
	inner.SetStatus(codes.Error, "timeout")
	inner.End()
	outer.SetStatus(codes.Ok, "")
	outer.End()
	all.Close(t.Context())
	body := <-bodies
	of := outer.SpanContext()
	for _, want := range []string{
		`{"resourceSpans":[{"resource":{"attributes":[`, `{"key":"service.name","value":{"stringValue":"fanloop-chat"}}`, `{"key":"service.instance.id","value":{"stringValue":"n1"}}`,
		`"traceId":"` + of.TraceID().String() + `"`, `"parentSpanId":"` + of.SpanID().String() + `"`, `"spanId":"` + of.SpanID().String() + `"`,
		`"kind":2`, `"kind":1`, `"status":{"code":2,"message":"timeout"}`, `"status":{"code":1}`, `"startTimeUnixNano":"1`,
		`{"key":"s","value":{"stringValue":"x"}}`, `{"key":"i","value":{"intValue":"7"}}`, `{"key":"b","value":{"boolValue":true}}`, `{"key":"f","value":{"stringValue":"0.5"}}`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
}

// A collector that is not there, or refuses, is in the log, and nothing waits for it.
func TestCollectorThatIsNotThere(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer refuses.Close()
	for url, want := range map[string]string{"http://127.0.0.1:1": "refused", refuses.URL: "status 418"} {
		var log strings.Builder
		all := telemetry.New(telemetry.Config{URL: url, Sample: 1, Log: slog.New(slog.NewTextHandler(&log, nil))})
		_, span := all.Tracer().Start(t.Context(), "x")
		span.RecordError(errors.New("x"))
		span.End()
		all.Close(t.Context())
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s: %s", url, &log)
		}
	}
}

// What is not sampled is not sent, unless the caller has decided.
func TestSample(t *testing.T) {
	sent := 0
	collector := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { sent++ }))
	all := telemetry.New(telemetry.Config{URL: collector.URL, Sample: 0, Log: slog.New(slog.DiscardHandler)})
	_, span := all.Tracer().Start(t.Context(), "x")
	span.End()
	all.Close(t.Context())
	collector.Close()
	if sent != 0 || span.SpanContext().IsSampled() {
		t.Errorf("%d requests", sent)
	}
}
