package engine

import (
	"math"
	"unsafe"

	"github.com/fanloop-go/fanloop/engine/internal/memory"
	"github.com/fanloop-go/fanloop/loop"
)

// Memory is the memory that a server holds for its connections, in bytes, by class. It leaves
// out the overhead of the Go runtime.
type Memory struct {
	// What waits. Limits.MaxMemory bounds these together.

	Outboxes     int // buffers and lists of what is queued for one connection
	SharedFrames int // messages that connections share, each counted once
	Messages     int // lists of messages that wait for a loop or for a slow subscriber, or are retained
	Assembly     int // received and not delivered: in part, encrypted, while reading is paused, for a worker, or counted by Hold
	Handshakes   int // opening handshakes under way, about

	// What connections take while nothing waits.

	Connections int // the connections themselves
	Topics      int // subscriptions
	TLS         int // state of encrypted connections, about
	Compression int // what context takeover keeps
}

// Waiting returns the sum of the classes that Limits.MaxMemory bounds.
func (m Memory) Waiting() int {
	return m.Outboxes + m.SharedFrames + m.Messages + m.Assembly + m.Handshakes
}

// Total returns the sum of all classes.
func (m Memory) Total() int {
	return m.Waiting() + m.Connections + m.Topics + m.TLS + m.Compression
}

// Memory returns the memory that the server holds, as of the last iteration of each loop. It
// does not wait. Any goroutine.
func (s *Server) Memory() (m Memory) {
	if !s.up.Load() {
		return m
	}
	for i, l := range s.group.Loops() {
		m.Outboxes += l.HeldFor(loop.UseQueues)
		m.Messages += l.HeldFor(loop.UseMessages)
		m.Assembly += l.HeldFor(loop.UseReceived)
		m.Handshakes += l.HeldFor(loop.UseHandshakes)
		m.Connections += l.Conns() * int(unsafe.Sizeof(WebSocket{}))
		m.Topics += s.settings.hub.Size(i)
		m.TLS += l.HeldByTLS()
	}
	m.SharedFrames = s.group.Shared()
	if c := s.settings.compressor; c != nil {
		m.Compression = int(c.windows.Load())
	}
	return m
}

// memoryBudget returns what Limits.MaxMemory stands for in bytes, 0 for no limit.
func memoryBudget(limit int) int {
	switch {
	case limit > 0:
		return limit
	case limit < 0:
		return 0
	}
	return int(min(memory.Usable()/4, math.MaxInt))
}
