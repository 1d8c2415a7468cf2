package admin

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/idempotency"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/loop"
)

// Config is what a Handler serves.
type Config struct {
	// Node is required.
	Node Node
	// Metrics are at /metrics.
	Metrics prometheus.Gatherer
	// OperatorKey is what operators show, or a certificate with one of the names
	// OperatorCertificates. Without any, they are served on this machine only.
	OperatorKey          string
	OperatorCertificates []string
	// TLS is how the address is served; nil: without TLS.
	TLS *tls.Config
	// Tracer records a span for each call of the server API; nil: none.
	Tracer trace.Tracer
	// Callers are the backends that may use the server API.
	Callers config.Callers
	// Idempotency is how idempotency keys are kept.
	Idempotency idempotency.Config
	// Log is required.
	Log *slog.Logger
}

// Node is what is operated; a *service.Service is one.
type Node interface {
	// Ready returns nil if the node should get new connections.
	Ready() error

	// What the operator's page shows.
	Stats() service.Stats
	Engine() *engine.Server
	Lag(context.Context) []time.Duration
	Look(n int) service.Look
	States(context.Context) []service.NodeState
	Trace(context.Context, service.Traced) (<-chan service.Event, error)

	// What the server API does.
	Rules() *rules.Rules
	Limits() protocol.Limits
	Publish(ctx context.Context, user, name string, c *protocol.Publish) (*protocol.Published, error)
	History(context.Context, *protocol.History) (*protocol.Page, error)
	Members(*protocol.GetPresence) (*protocol.Members, error)
	Topic(ctx context.Context, topic string) (end protocol.Position, subscribers int, err error)
	User(ctx context.Context, user string) ([]service.Connection, error)
	Unsubscribe(ctx context.Context, user, topic string) (int, error)
	Disconnect(ctx context.Context, user string) (int, error)
	Silent() []string
	Revoke(context.Context, revoke.Revocation) error
}

// Handler serves the admin address.
type Handler struct {
	config Config
	mux    *http.ServeMux
	guard  guard
	keys   *idempotency.Store
	ending chan struct{} // closed by End
	ends   sync.Once
	failed loop.Throttle // of the log
}

// New returns a Handler.
func New(c Config) *Handler {
	c.Idempotency.Partly = unconfirmed
	h := &Handler{config: c, mux: http.NewServeMux(), guard: newGuard(c.OperatorKey, c.OperatorCertificates), keys: idempotency.New(c.Idempotency), ending: make(chan struct{})}
	h.mux.HandleFunc("GET /healthz", h.healthy)
	h.mux.HandleFunc("GET /readyz", h.ready)
	h.operator("GET /metrics", promhttp.HandlerFor(c.Metrics, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(c.Log.Handler(), slog.LevelError)}))
	h.operator("GET /debug/pprof/", http.HandlerFunc(pprof.Index))
	h.operator("GET /debug/pprof/cmdline", http.HandlerFunc(pprof.Cmdline))
	h.operator("GET /debug/pprof/profile", http.HandlerFunc(pprof.Profile))
	h.operator("GET /debug/pprof/symbol", http.HandlerFunc(pprof.Symbol))
	h.operator("GET /debug/pprof/trace", http.HandlerFunc(pprof.Trace))
	h.servePage()
	for i := range calls {
		h.mux.HandleFunc(calls[i].path, h.traced(calls[i].path, h.serveCall(&calls[i])))
	}
	h.mux.HandleFunc("GET /v1/openapi.yaml", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, "application/yaml", http.StatusOK, api.OpenAPI())
	})
	return h
}

// End ends answers that go on for as long as the client wants.
func (h *Handler) End() { h.ends.Do(func() { close(h.ending) }) }

// Wait returns when nothing that a call began is under way any more.
func (h *Handler) Wait() { h.keys.Wait() }

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	bound(w, r)
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	if foreign(r) {
		refuse(w, http.StatusForbidden, "forbidden", "pages of other origins are not served")
		return
	}
	h.mux.ServeHTTP(w, r)
}

// operator serves a path to operators only.
func (h *Handler) operator(pattern string, to http.Handler) {
	h.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if !h.guard.admits(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="operator"`)
			refuse(w, http.StatusUnauthorized, "unauthorized", "show the operator's key (Authorization: Bearer KEY) or certificate")
			return
		}
		to.ServeHTTP(w, r)
	})
}
