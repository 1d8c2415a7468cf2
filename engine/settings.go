package engine

import (
	"log/slog"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// settings are what the connections of one Server, or of one Dial, go by and
// share. Immutable.
type settings struct {
	role       codec.Role
	limits     Limits
	reader     codec.ReaderConfig
	policy     loop.WritePolicy
	callbacks  Callbacks
	compressor *compressor // nil: no compression
	hub        *hub        // nil for a client
	server     *Server     // nil for a client
	dispatcher *dispatcher // nil: callbacks run on the loop
	log        *slog.Logger
	panics     *loop.Throttle // of the group
	gone       func()         // counts a connection that ended; nil: nobody counts
}

func newSettings(role codec.Role, limits Limits, callbacks Callbacks, log *slog.Logger) *settings {
	limits = limits.WithDefaults()
	if log == nil {
		log = slog.Default()
	}
	return &settings{
		role:      role,
		limits:    limits,
		reader:    limits.reader(role),
		policy:    limits.policy(),
		callbacks: callbacks,
		log:       log,
	}
}

// settings are what ws goes by. Any goroutine.
func (ws *WebSocket) settings() *settings { return ws.terms.Load() }
