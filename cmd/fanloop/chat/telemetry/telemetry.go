// Package telemetry sends spans of hooks and API calls to an OpenTelemetry collector, by
// OTLP over HTTP in JSON.
//
// The spans are those of the OpenTelemetry SDK. The exporter is of this package: the one
// of OpenTelemetry links gRPC, which makes the program 12 MB larger.
package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Config says where spans go.
type Config struct {
	// URL of the collector, like http://127.0.0.1:4318. Spans are posted to /v1/traces
	// below it.
	URL string
	// Sample is the part of traces that is sent, 0 to 1, of those that nobody decided
	// about: a request that brings a traceparent is sent if that says so.
	Sample float64
	// Node is the name of this node.
	Node string
	// Log gets a line when spans cannot be sent.
	Log *slog.Logger
	// Every is the time between two requests to the collector (5 s).
	Every time.Duration
}

// Telemetry has a tracer whose spans are sent. Close ends it.
type Telemetry struct{ provider *sdk.TracerProvider }

// New begins to send what the tracer records. At most 2048 spans wait; more are left out.
func New(c Config) *Telemetry {
	if c.Every == 0 {
		c.Every = 5 * time.Second
	}
	to := &exporter{url: strings.TrimSuffix(c.URL, "/") + "/v1/traces", log: c.Log, client: &http.Client{Timeout: 10 * time.Second, Transport: new(http.Transport)}}
	return &Telemetry{sdk.NewTracerProvider(
		sdk.WithBatcher(to, sdk.WithBatchTimeout(c.Every)),
		sdk.WithSampler(sdk.ParentBased(sdk.TraceIDRatioBased(c.Sample))),
		sdk.WithResource(resource.NewSchemaless(
			attribute.String("service.name", "fanloop-chat"), attribute.String("service.instance.id", c.Node))),
	)}
}

// Tracer records spans.
func (t *Telemetry) Tracer() trace.Tracer {
	return t.provider.Tracer("github.com/fanloop-go/fanloop/cmd/fanloop/chat")
}

// Close sends what is recorded, as long as ctx lasts.
func (t *Telemetry) Close(ctx context.Context) { _ = t.provider.Shutdown(ctx) } // the exporter logs why not
