package engine

import (
	"log/slog"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// settings are shared by the connections of one endpoint, or of one Dial. A connection whose
// limits differ has settings of its own. Immutable.
type settings struct {
	role       codec.Role
	bounds     // by Limits
	callbacks  Callbacks
	compressor *compressor // nil: no compression
	hub        *fanout.Hub // nil for a client
	server     *Server     // nil for a client
	slowAsked  Slow        // without defaults
	slow       fanout.Slow // of subscribers, where neither topic nor connection has one
	dispatcher *dispatcher // nil: callbacks run on the loop
	log        *slog.Logger
	panics     *loop.Throttle // of the group
	onEnd      func()         // is called when a connection has ended; may be nil

	base   *settings                 // the settings for Limits{}; nil: these
	latest *atomic.Pointer[settings] // the last ones that with made of these
}

func newSettings(role codec.Role, limits Limits, callbacks Callbacks, log *slog.Logger) *settings {
	if log == nil {
		log = slog.Default()
	}
	e := &settings{
		role:      role,
		callbacks: callbacks,
		log:       log,
		latest:    new(atomic.Pointer[settings]),
	}
	e.setBounds(limits)
	return e
}

// setBounds makes limits those of e.
func (e *settings) setBounds(limits Limits) {
	e.bounds = newBounds(e.role, limits)
	e.policy.Owner = e
}

// with returns settings in which the fields of l that are not 0 replace those of
// Server, Endpoint or Dial. Connections that ask for the same share them. The error is
// an *OptionError.
func (e *settings) with(l Limits) (*settings, error) {
	if e.base != nil {
		e = e.base
	}
	asked := l.over(e.asked)
	if asked == e.asked {
		return e, nil
	}
	if last := e.latest.Load(); last != nil && last.asked == asked {
		return last, nil
	}
	var m mistakes
	if l.checkOwn(&m, asked); len(m) > 0 {
		return nil, m.err()
	}
	own := *e
	own.base, own.latest = e, nil
	own.setBounds(asked)
	own.setSlow(e.slowAsked)
	e.latest.Store(&own)
	return &own, nil
}

// setSlow sets the policy for slow subscribers. Its limit follows MaxQueued.
func (e *settings) setSlow(asked Slow) { e.slowAsked, e.slow = asked, asked.withDefaults(e) }

// readerConfig is that of a connection that has agreed on compression, or not.
func (e *settings) readerConfig(v frames.Variant) *codec.ReaderConfig {
	if v == frames.Plain {
		return &e.reader
	}
	return &e.deflate
}

// inflateLimit is what a compressed message may inflate to.
func (e *settings) inflateLimit() codec.InflateLimit {
	return codec.InflateLimit{MaxMessage: e.limits.MaxMessage, MaxRatio: e.compressor.options.MaxRatio}
}
