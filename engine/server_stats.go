package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// Stats counts what a server has done and holds.
type Stats struct {
	LoopStats             // of all loops together
	Loops     []LoopStats // each loop

	Dropped   uint64 // messages lost to subscribers: by SlowDropNewest, SlowDropOldest, or because a loop was behind
	Conflated uint64 // messages replaced by a later one of the same key for slow subscribers

	// Ended counts connections that have ended, by cause. It leaves out those that ended in the
	// opening handshake.
	Ended map[CloseCause]uint64

	ClosedTLS uint64 // connections dropped in the TLS handshake because others queued for it; see Server.MaxHandshakes

	// Refused counts requests that were refused, by HTTP status. 0 stands for connections over
	// MaxConnections that were reset, because too many others were being answered. The log has
	// some of them with their causes, at level Debug.
	Refused map[int]uint64

	HTTP    int    // connections that Server.HTTP serves at the moment, besides those of the loops
	Skipped uint64 // messages that waited in Dispatch when their connection ended, and were not delivered
	Panics  uint64 // callbacks that did not return; the log has some of them

	Compressed      int    // connections that agreed on permessage-deflate
	TakeoverReserve int    // bytes set aside for context takeover, of Compression.Memory
	Compressions    uint64 // messages compressed; a publish counts once for each window size
}

// LoopStats counts what one loop has done and holds.
type LoopStats struct {
	Connections int // open, handshakes and what waits for its next HTTP request included
	Encrypted   int // of them, those that speak TLS, its handshake included

	QueuedBytes   int // messages that connections are to get and their sockets did not take yet; shared ones count for each
	PendingBytes  int // memory of what was published and the loop has yet to deliver, if more than 64 KiB
	AssemblyBytes int // memory of what was received and is not delivered
	HeldBytes     int // memory of all that waits; Memory has it by class
	Budget        int // most that HeldBytes may be, of Limits.MaxMemory; 0: none

	MessagesIn, MessagesOut uint64 // data messages; a publish counts for each subscriber
	BytesIn, BytesOut       uint64 // on the wire
	Deferred                uint64 // times that a connection waited for its turn, as it had more to do than others

	BatchFlushes, BatchMessages uint64        // of Server.Batching: flushes of groups, and messages in them
	BatchDelay                  time.Duration // of Server.Batching: the longest delay at the moment
}

// Stats returns the counters of the server, as of the last iteration of each loop. It does not
// wait. Any goroutine.
func (s *Server) Stats() (st Stats) {
	if !s.up.Load() {
		return st
	}
	h := s.settings.hub
	for i, l := range s.group.Loops() {
		one := loopStats(l)
		one.PendingBytes = h.Behind(i)
		b := h.Batches(i)
		one.BatchFlushes, one.BatchMessages, one.BatchDelay = b.Flushes, b.Messages, b.Delay
		st.Loops = append(st.Loops, one)
		st.add(&one)
	}
	if d := s.settings.dispatcher; d != nil {
		d.mu.Lock()
		st.Skipped = d.skipped
		d.mu.Unlock()
	}
	st.Panics = s.group.Panics().Count()
	st.Dropped, st.Conflated = h.Lost()
	st.Ended = s.endings.counts()
	st.ClosedTLS = s.group.HandshakesShed()
	st.Refused = s.refusals.counts()
	st.HTTP = int(s.web.conns.Load())
	d := &s.deflated
	st.Compressed, st.TakeoverReserve = int(d.conns.Load()), int(d.reserved.Load())
	st.Compressions = d.counts.Messages.Load()
	return st
}

func loopStats(l *loop.Loop) LoopStats {
	c := l.Counters()
	return LoopStats{
		Connections:   l.Conns(),
		Encrypted:     l.Encrypted(),
		QueuedBytes:   l.Queued(),
		AssemblyBytes: l.HeldFor(loop.UseReceived),
		HeldBytes:     l.Held(),
		Budget:        l.Budget(),
		MessagesIn:    c.MessagesIn,
		MessagesOut:   c.MessagesOut,
		BytesIn:       c.BytesIn,
		BytesOut:      c.BytesOut,
		Deferred:      c.Deferred,
	}
}

func (sum *LoopStats) add(one *LoopStats) {
	sum.Connections += one.Connections
	sum.Encrypted += one.Encrypted
	sum.QueuedBytes += one.QueuedBytes
	sum.PendingBytes += one.PendingBytes
	sum.AssemblyBytes += one.AssemblyBytes
	sum.HeldBytes += one.HeldBytes
	sum.Budget += one.Budget
	sum.MessagesIn += one.MessagesIn
	sum.MessagesOut += one.MessagesOut
	sum.BytesIn += one.BytesIn
	sum.BytesOut += one.BytesOut
	sum.Deferred += one.Deferred
	sum.BatchFlushes += one.BatchFlushes
	sum.BatchMessages += one.BatchMessages
	sum.BatchDelay = max(sum.BatchDelay, one.BatchDelay)
}
