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
}

// taken is what a loop took out of its mailbox. Owned by the loop.
type taken struct {
	mail []mail
	read int // of mail
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

// take moves what was put so far to t. All that was taken before is read.
func (b *mailbox) take(t *taken) {
	if !b.some.Load() { // the lock costs more
		return
	}
	b.mu.Lock()
	b.in, t.mail = t.mail, b.in
	b.some.Store(false)
	b.mu.Unlock()
}

// next returns what was taken, one after the other. A mail is read once it is
// returned, whatever becomes of it.
func (t *taken) next() (m mail, ok bool) {
	if t.read < len(t.mail) {
		m = t.mail[t.read]
		t.read++
		return m, true
	}
	clear(t.mail)
	t.mail, t.read = t.mail[:0], 0
	if cap(t.mail) > mailKept {
		t.mail = nil
	}
	return mail{}, false
}

// shut moves what is left to t, and refuses mail from now on.
func (b *mailbox) shut(t *taken) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.in, t.mail = nil, b.in
}
