package service

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/timing"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// Stats count what a node does and has.
type Stats struct {
	Sessions      int // connected
	Streams       int // of them, those by Server-Sent Events
	Users         int
	Subscriptions int // live ones

	Commands  uint64
	Errors    map[protocol.Code]uint64 // answers to commands
	Closings  map[protocol.Code]uint64 // last frames of connections
	Tokens    map[auth.Reason]uint64   // that were refused
	Stored    timing.Timing            // publishes, the repeated ones too
	Repeated  uint64                   // publishes whose id was known
	Unstored  uint64                   // publishes that failed
	Delivered uint64                   // messages, for each subscriber
	Read      timing.Timing            // pages of history
	Unread    uint64                   // pages that failed
	Waiting   int                      // questions to the store, keys and backends
	Overloads uint64                   // questions that had no place

	Draining  bool
	Connected bool // to NATS
	Quorum    bool // enough servers run to store messages, as far as this is known
	Revoked   revoke.Stats
	Keys      Keys
	Hooks     []hooks.Stats // of those that are asked
	Cluster   cluster.Stats
	Kept      cluster.Budget   // messages of topics, in memory
	Live      live.Stats       // of all encodings together
	Store     natsserver.Usage // of the disk; zero: not known
	Servers   natsserver.Peers // that keep messages with this node; zero: not known
}

// Keys are those of accounts.jwks; zero: there is none.
type Keys struct {
	Used     int    // in use
	Skipped  int    // in the JWKS, and of no use
	Failures int    // fetches since one succeeded
	Failed   uint64 // fetches in all
	Age      int    // seconds since they were had last; if they never were, since the start
}

// Stats returns what was counted. It visits each topic. Any goroutine.
func (s *Service) Stats() Stats {
	c := s.counts
	st := Stats{
		Commands: c.commands.Load(), Errors: valuesAt(c.errors), Closings: valuesAt(c.closings), Tokens: s.refusals.counted(),
		Stored: c.stored.Value(), Repeated: c.repeated.Load(), Unstored: c.unstored.Load(),
		Read: c.read.Value(), Unread: c.unread.Load(), Waiting: s.crew.waiting(), Overloads: c.overloads.Load(),
		Draining: s.draining.Load(), Connected: s.store.spaces.connected(),
		Revoked: s.accounts.revoked.Stats(), Keys: s.accounts.keys(), Cluster: s.node.Stats(), Kept: s.node.Kept(), Streams: s.streams.count(),
	}
	st.Sessions, st.Users = s.registry.count()
	for _, h := range s.accounts.hooks {
		st.Hooks = append(st.Hooks, h.Stats())
	}
	slices.SortFunc(st.Hooks, func(a, b hooks.Stats) int { return strings.Compare(string(a.Kind), string(b.Kind)) })
	for _, t := range s.topics {
		add(&st.Live, t.Stats())
	}
	st.Delivered, st.Subscriptions = st.Live.Delivered, st.Live.Live+st.Live.CatchingUp
	if s.store.room != nil {
		st.Store = *s.store.room.now.Load()
	}
	st.Quorum = true
	if q := s.store.quorum; q != nil {
		st.Quorum, st.Servers = q.why() == nil, *q.peers.Load()
	}
	return st
}

func add(sum *live.Stats, one live.Stats) {
	sum.Topics += one.Topics
	sum.Live += one.Live
	sum.CatchingUp += one.CatchingUp
	sum.Encoded += one.Encoded
	sum.Pages += one.Pages
	sum.Delivered += one.Delivered
	sum.Slow += one.Slow
	sum.Resets += one.Resets
	sum.Lagging += one.Lagging
}

// Tracer records spans; nil: they are not recorded.
func (s *Service) Tracer() trace.Tracer {
	if s.telemetry == nil {
		return nil
	}
	return s.telemetry.Tracer()
}

// Engine is the server of this node, for its counters.
func (s *Service) Engine() *engine.Server { return s.server }

// Ready returns nil if the node should get new connections, and otherwise why not. It
// never fails before Start has returned.
func (s *Service) Ready() error {
	switch {
	case s.draining.Load():
		return ErrDraining
	case !s.store.spaces.connected():
		return ErrNoStore
	case s.store.room != nil && s.store.room.full.Load():
		return ErrFull
	case s.store.quorum != nil && s.store.quorum.why() != nil:
		return s.store.quorum.why()
	case s.accounts.keyless():
		return ErrNoKeys
	}
	select {
	case <-s.accounts.revoked.Ready():
		return nil
	default:
		return ErrNotReady
	}
}

// Drain has Ready fail from now on, and other nodes send no clients here. Connections go
// on until Shutdown.
func (s *Service) Drain() {
	if !s.draining.Swap(true) {
		s.nodes.Withdraw()
	}
}

// Lag is how long each loop takes to get to something new. A loop that did not within
// the time of ctx has all of it.
func (s *Service) Lag(ctx context.Context) []time.Duration {
	type answer struct {
		loop int
		lag  time.Duration
	}
	n := len(s.server.Stats().Loops)
	answers := make(chan answer, n)
	begin := time.Now()
	s.server.EachLoop(func(loop int) { answers <- answer{loop, time.Since(begin)} })
	lags := make([]time.Duration, n)
	missing := make(map[int]bool, n)
	for i := range n {
		missing[i] = true
	}
	for len(missing) > 0 {
		select {
		case a := <-answers:
			lags[a.loop] = a.lag
			delete(missing, a.loop)
		case <-ctx.Done():
			for i := range missing {
				lags[i] = time.Since(begin)
			}
			return lags
		}
	}
	return lags
}
