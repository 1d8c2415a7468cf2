package engine

import (
	"unsafe"

	"github.com/fanloop-go/fanloop/loop"
)

// Stats is what a server has done and holds.
type Stats struct {
	LoopStats             // of all loops together
	Loops     []LoopStats // each loop

	Dropped    uint64 // messages lost to subscribers: by SlowDropNewest, SlowDropOldest, or because a loop was behind
	Conflated  uint64 // messages replaced by a later one of the same key for slow subscribers
	ClosedSlow uint64 // connections closed for being slow

	// Refused is how many requests were answered with a refusal, by HTTP status. 0
	// stands for connections over MaxConnections that were reset, because too many
	// were being told. At level Debug the log has some, with their causes.
	Refused map[int]uint64

	HTTP    int    // connections that Server.HTTP serves at the moment, besides those of the loops
	Skipped uint64 // messages that waited in Dispatch when their connection ended, and were not delivered
	Panics  uint64 // callbacks that did not return; the log has some of them

	Compressed      int    // connections that agreed on permessage-deflate
	TakeoverReserve int    // bytes set aside for context takeover, of Compression.Memory
	Compressions    uint64 // messages compressed; a publish counts once for each window size
}

// LoopStats is what one loop has done and holds.
type LoopStats struct {
	Connections             int    // open, handshakes and what waits for its next HTTP request included
	Encrypted               int    // of them, those that speak TLS, its handshake included
	QueuedBytes             int    // written and not taken by the sockets yet
	MessagesIn, MessagesOut uint64 // data messages; a publish counts for each subscriber
	BytesIn, BytesOut       uint64 // on the wire
	Deferred                uint64 // times that a connection waited for its turn, as it had more to do than others
}

// Stats returns the counters of the server as of the last iteration of each
// loop. It does not wait. Any goroutine.
func (s *Server) Stats() (st Stats) {
	if !s.up.Load() {
		return st
	}
	for _, l := range s.group.Loops() {
		c := l.Counters()
		one := LoopStats{
			Connections: l.Conns(),
			Encrypted:   l.Encrypted(),
			QueuedBytes: l.Queued(),
			MessagesIn:  c.MessagesIn,
			MessagesOut: c.MessagesOut,
			BytesIn:     c.BytesIn,
			BytesOut:    c.BytesOut,
			Deferred:    c.Deferred,
		}
		st.Loops = append(st.Loops, one)
		st.Connections += one.Connections
		st.Encrypted += one.Encrypted
		st.QueuedBytes += one.QueuedBytes
		st.MessagesIn += one.MessagesIn
		st.MessagesOut += one.MessagesOut
		st.BytesIn += one.BytesIn
		st.BytesOut += one.BytesOut
		st.Deferred += one.Deferred
	}
	if d := s.endpoint.dispatcher; d != nil {
		d.mu.Lock()
		st.Skipped = d.skipped
		d.mu.Unlock()
	}
	st.Panics = s.group.Panics().Count()
	h := s.endpoint.hub
	st.Dropped, st.Conflated, st.ClosedSlow = h.dropped.Load(), h.conflated.Load(), h.closed.Load()
	st.Refused = s.refusals.counts()
	st.HTTP = int(s.web.conns.Load())
	if c := s.endpoint.compressor; c != nil {
		st.Compressed, st.TakeoverReserve = int(c.conns.Load()), int(c.reserved.Load())
		st.Compressions = c.messages.Load()
	}
	return st
}

// Each runs fn for every open WebSocket of the server, as WebSocket.Do does, so
// on any loop. It does not wait. Any goroutine.
func (s *Server) Each(fn func(ws *WebSocket)) {
	if !s.up.Load() {
		return
	}
	for _, l := range s.group.Loops() {
		_ = l.Do(func() { // ended: nobody is left
			eachOpen(l, func(ws *WebSocket) {
				_ = ws.conn.Do(func() { // ended meanwhile: not open any more
					if ws.isOpen() {
						callEach(fn, ws)
					}
				})
			})
		})
	}
}

// eachOpen calls fn for every open WebSocket of l. On the loop.
func eachOpen(l *loop.Loop, fn func(ws *WebSocket)) {
	l.Each(func(c *loop.Conn) {
		if h, ok := c.Handler().(*handler); ok && (*WebSocket)(h).isOpen() {
			fn((*WebSocket)(h))
		}
	})
}

// Memory is the bytes a server holds for its connections, by class. The
// runtime's own overhead is not in it.
type Memory struct {
	Connections  int // the connections themselves
	Outboxes     int // queued bytes that belong to one connection
	SharedFrames int // queued bytes that connections share, each counted once
	Assembly     int // received and not delivered: in part, while reading is paused, or for a worker
	Topics       int // subscriptions
	TLS          int // state of encrypted connections, about, and ciphertext that waits
	Compression  int // what context takeover keeps
}

// Memory walks all connections and adds up what they hold. It waits for every
// loop. Any goroutine but a loop's own.
func (s *Server) Memory() (total Memory) {
	if !s.up.Load() {
		return total
	}
	shared := make(map[*byte]int)
	for _, l := range s.group.Loops() {
		done := make(chan struct{})
		if l.Do(func() { total.addLoop(l, shared); close(done) }) == nil {
			<-done
		}
	}
	for _, n := range shared {
		total.SharedFrames += n
	}
	return total
}

// addLoop adds the connections of l. On the loop.
func (t *Memory) addLoop(l *loop.Loop, shared map[*byte]int) {
	l.Each(func(c *loop.Conn) {
		h, ok := c.Handler().(*handler)
		if !ok {
			return
		}
		t.Connections += int(unsafe.Sizeof(*h))
		t.Assembly += h.reader.Buffered()
		var waits *lane
		var context *takeover
		c.Lock()
		if h.extras != nil {
			waits, context = h.extras.lane, h.extras.takeover
			t.Connections += int(unsafe.Sizeof(*h.extras))
			t.Assembly += cap(h.extras.held) + h.extras.waiting.size()
		}
		t.Outboxes += c.HeldLocked(shared)
		state, received, sealed := c.HeldTLSLocked()
		t.TLS += state + received + sealed
		c.Unlock()
		t.Compression += context.size()
		t.Assembly += waits.waiting(h.endpoint.dispatcher)
		if m := h.member.Load(); m != nil {
			m.fan.mu.Lock()
			if w := m.slow.Load(); w != nil {
				for _, b := range w.queue {
					b.note(shared)
				}
			}
			t.Topics += int(unsafe.Sizeof(*m)) + len(m.subs)*int(unsafe.Sizeof(subscription{})+2*unsafe.Sizeof(m))
			m.fan.mu.Unlock()
		}
	})
}
