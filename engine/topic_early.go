package engine

import (
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// topicSettings are the settings of one topic of a server that has not started.
type topicSettings struct {
	slow       Slow
	flushEvery time.Duration
}

// earlySettings keeps what is set for topics until the server starts, so that setting it
// starts nothing: fields and endpoints of the server may still be set. Any goroutine.
type earlySettings struct {
	mu     sync.Mutex
	topics map[string]topicSettings
	over   bool // the server has started
}

// keep edits the settings of the topic called name; false if the server has started.
func (e *earlySettings) keep(name string, edit func(*topicSettings)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return false
	}
	if e.topics == nil {
		e.topics = make(map[string]topicSettings)
	}
	set := e.topics[name]
	edit(&set)
	e.topics[name] = set
	return true
}

// check finds policies that are invalid with these limits.
func (e *earlySettings) check(m *mistakes, limits *Limits) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, set := range e.topics {
		set.slow.check(m, limits)
	}
}

// apply gives the settings to the hub of s, which has one by now. Nothing is kept from
// now on.
func (e *earlySettings) apply(s *settings) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name, set := range e.topics {
		s.hub.Change(name, func(r *fanout.Rules) {
			*r = fanout.Rules{Slow: set.slow.override(s), FlushEvery: set.flushEvery}
		})
	}
	e.topics, e.over = nil, true
}
