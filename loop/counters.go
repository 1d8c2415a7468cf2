package loop

import "sync/atomic"

// Counters count what a loop did since it started.
type Counters struct {
	// BytesIn and BytesOut are what was received, and given to the kernel.
	BytesIn, BytesOut uint64
	// MessagesIn and MessagesOut are what handlers counted with CountIn and CountOut.
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
		BytesOut:    l.public.bytesOut.Load() + l.bytesOut.Load(),
		MessagesIn:  l.public.messagesIn.Load(),
		MessagesOut: l.public.messagesOut.Load() + l.messagesOut.Load(),
		Deferred:    l.public.deferred.Load(),
	}
}

// CountIn adds n messages received. Loop only.
func (l *Loop) CountIn(n int) { l.counters.MessagesIn += uint64(n) }

// CountOut adds n messages sent. Any goroutine.
func (l *Loop) CountOut(n int) { l.messagesOut.Add(uint64(n)) }

// countCorkLocked counts the messages of the event under way. On the loop, for a
// caller that holds the lock of the connection that the event is of.
func (l *Loop) countCorkLocked() {
	l.counters.MessagesOut += uint64(l.cork.messages)
	l.cork.messages = 0
}

// Encrypted returns the number of the loop's connections with TLS, handshakes
// under way included. Any goroutine.
func (l *Loop) Encrypted() int { return int(l.encrypted.Load()) }

// published are the counters that the loop alone changes, as others read them.
type published struct {
	bytesIn, bytesOut, messagesIn, messagesOut, deferred atomic.Uint64 // written by the loop
}

// publish lets others see the counters of the loop. It writes only what changed:
// a write takes the cache line from those that read.
func (l *Loop) publish() {
	l.countFresh()
	set := func(to *atomic.Uint64, n uint64) {
		if to.Load() != n {
			to.Store(n)
		}
	}
	set(&l.public.bytesIn, l.counters.BytesIn)
	set(&l.public.bytesOut, l.counters.BytesOut)
	set(&l.public.messagesIn, l.counters.MessagesIn)
	set(&l.public.messagesOut, l.counters.MessagesOut)
	set(&l.public.deferred, l.counters.Deferred)
}
