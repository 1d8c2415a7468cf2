package loop

import (
	"sync"
	"sync/atomic"
)

// mail is one thing that another goroutine asks of a loop: to look after c, to
// run fn inside an event of c, or, without c, to run fn.
type mail struct {
	c  *Conn
	fn func()
}

// mailbox carries mail to a loop. It is swapped under its lock and emptied
// outside it, so mail posted while it is emptied waits for the next turn.
type mailbox struct {
	some   atomic.Bool // in is not empty; written under mu
	mu     sync.Mutex
	in     []mail
	closed bool

	// Owned by the loop.
	out  []mail // taken
	read int    // of out
}

// put appends m. first says that the loop must be woken; ok is false when the
// loop has ended and m will never be seen.
func (b *mailbox) put(m mail) (first, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, false
	}
	b.in = append(b.in, m)
	if len(b.in) > 1 {
		return false, true
	}
	b.some.Store(true)
	return true, true
}

// mailKept is the capacity a mailbox keeps between turns.
const mailKept = 4096

// take makes what was put so far that which next returns. All that was taken
// before is read.
func (b *mailbox) take() {
	if !b.some.Load() { // the lock costs more
		return
	}
	b.mu.Lock()
	b.in, b.out = b.out, b.in
	b.some.Store(false)
	b.mu.Unlock()
}

// next returns what was taken, one after the other. A mail is read once it is
// returned, whatever becomes of it.
func (b *mailbox) next() (m mail, ok bool) {
	if b.read < len(b.out) {
		m = b.out[b.read]
		b.read++
		return m, true
	}
	clear(b.out)
	b.out, b.read = b.out[:0], 0
	if cap(b.out) > mailKept {
		b.out = nil
	}
	return mail{}, false
}

// shut takes what is left, and refuses mail from now on.
func (b *mailbox) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.in, b.out = nil, b.in
}
