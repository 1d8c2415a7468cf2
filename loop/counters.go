package loop

import (
	"sync/atomic"
	"unsafe"
)

// Counters count what a loop did since it started.
type Counters struct {
	// BytesIn and BytesOut are what was received, and given to the kernel.
	BytesIn, BytesOut uint64
	// MessagesIn and MessagesOut are what handlers told by CountIn and CountOut.
	MessagesIn, MessagesOut uint64
	// Deferred is how often a connection put work off because its loop had others
	// to serve.
	Deferred uint64
}

// Counters returns the counters of the loop as of the end of its last
// iteration. Any goroutine.
func (l *Loop) Counters() Counters {
	return Counters{
		BytesIn:     l.public.bytesIn.Load(),
		BytesOut:    l.public.bytesOut.Load() + l.sentElsewhere.Load(),
		MessagesIn:  l.public.messagesIn.Load(),
		MessagesOut: l.messagesOut.Load(),
		Deferred:    l.public.deferred.Load(),
	}
}

// CountIn adds n messages received. Loop only.
func (l *Loop) CountIn(n int) { l.counters.MessagesIn += uint64(n) }

// CountOut adds n messages sent. Any goroutine.
func (l *Loop) CountOut(n int) { l.messagesOut.Add(uint64(n)) }

// Queued returns the bytes that wait in the queues of the loop's connections,
// and those of Hold. Any goroutine.
func (l *Loop) Queued() int { return int(l.queued.Load()) }

// Encrypted returns the number of the loop's connections with TLS, handshakes
// under way included. Any goroutine.
func (l *Loop) Encrypted() int { return int(l.encrypted.Load()) }

// QueueBudget is the loop's part of Config.QueueBudget; 0 means none.
func (l *Loop) QueueBudget() int {
	cfg := &l.group.cfg
	if cfg.QueueBudget <= 0 {
		return 0
	}
	return max(1, cfg.QueueBudget/cfg.Loops)
}

// published are the counters that the loop alone changes, as others read them.
type published struct {
	bytesIn, bytesOut, messagesIn, deferred atomic.Uint64 // written by the loop
}

// publish lets others see the counters of the loop. It writes only what changed:
// a write takes the cache line from those that read.
func (l *Loop) publish() {
	set := func(to *atomic.Uint64, n uint64) {
		if to.Load() != n {
			to.Store(n)
		}
	}
	set(&l.public.bytesIn, l.counters.BytesIn)
	set(&l.public.messagesIn, l.counters.MessagesIn)
	set(&l.public.deferred, l.counters.Deferred)
	set(&l.public.bytesOut, l.counters.BytesOut)
}

// tallyLocked keeps the loop's count of queued bytes. It follows whatever
// changes the queue of a connection that waits for its socket.
func (c *Conn) tallyLocked() {
	o := c.out
	if o == nil || o == c.loop.cork || o.size == o.tallied {
		return
	}
	c.loop.Hold(o.size - o.tallied)
	o.tallied = o.size
}

// Hold counts n more bytes, or fewer if negative, that wait for connections of
// the loop elsewhere than in their queues. Any goroutine.
func (l *Loop) Hold(n int) {
	total := l.queued.Add(int64(n))
	if budget := l.QueueBudget(); budget > 0 && total > int64(budget) && !l.over.Swap(true) {
		_ = l.post(mail{fn: l.overload}) // ended: its queues are gone
	}
}

// relieve tells the owner of the group that a loop is over its budget.
func (l *Loop) relieve() {
	defer l.over.Store(false) // only then: what was closed is freed before the next time
	if l.Queued() > l.QueueBudget() {
		l.callOverBudget()
	}
}

// HeldLocked returns the bytes of the buffers that the queue of c owns, and
// notes in shared those that it shares with others. For a caller that holds
// Lock.
func (c *Conn) HeldLocked(shared map[*byte]int) (own int) {
	o := c.out
	if o == nil || o == c.loop.cork {
		return 0
	}
	for _, s := range o.segs[o.first:] {
		switch {
		case s.chunk != nil:
			own += cap(s.chunk.b)
		case len(s.b) > 0:
			note(shared, s.b)
		}
	}
	return own
}

const (
	// tlsSize is about what crypto/tls and this package hold for an idle
	// connection; certificates of the peer and the like come on top.
	tlsSize = 3200
	// shakingSize is about what a handshake under way takes: its goroutine, and
	// what crypto/tls keeps for it.
	shakingSize = 20 << 10
	// helloSize is what one takes that has not begun, besides the ClientHello.
	helloSize = int(unsafe.Sizeof(tlsLayer{}) + unsafe.Sizeof(tlsHandshake{}))
)

// size is the first result of HeldTLSLocked.
func (s tlsState) size() int {
	switch s {
	case tlsHello, tlsQueued:
		return helloSize
	case tlsShaking:
		return shakingSize
	}
	return tlsSize
}

// HeldTLSLocked returns the bytes that the encryption of c takes, 0 if it has
// none: its state, about; of buffers what was received and is not decrypted, such
// as the part of a ClientHello; and what is encrypted and not sent, which counts
// as queued too. For a caller that holds Lock.
func (c *Conn) HeldTLSLocked() (state, received, sealed int) {
	t := c.tls
	if t == nil {
		return 0, 0, 0
	}
	received = cap(t.kept.b)
	if t.kept.chunk != nil {
		received = cap(t.kept.chunk.b)
	}
	if t.handshake != nil {
		received += cap(t.handshake.in)
	}
	if c.out != nil && c.out != c.loop.cork {
		sealed = cap(c.out.sealed.b)
	}
	return t.state.size(), received, sealed
}

// Note notes s in shared as HeldLocked does.
func (s *Shared) Note(shared map[*byte]int) { note(shared, s.b) }

// note keeps shared bytes by their last one: the first ones may be sent.
func note(shared map[*byte]int, b []byte) {
	last := &b[len(b)-1]
	shared[last] = max(shared[last], len(b))
}
