package loop

import "sync"

// mail is one thing that another goroutine asks of a loop: to look after c, to
// run fn inside an event of c, or, without c, to run fn.
type mail struct {
	c  *Conn
	fn func()
}

// mailbox carries mail to a loop. It is swapped under its lock and emptied
// outside it, so mail posted while it is emptied waits for the next turn.
type mailbox struct {
	mu     sync.Mutex
	in     []mail
	closed bool

	out []mail // owned by the loop
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
	return len(b.in) == 1, true
}

// mailKept is the capacity a mailbox keeps between turns.
const mailKept = 4096

// take returns what was put so far; it is valid until done.
func (b *mailbox) take() []mail {
	b.mu.Lock()
	b.in, b.out = b.out, b.in
	b.mu.Unlock()
	return b.out
}

// done forgets what take returned.
func (b *mailbox) done() {
	clear(b.out)
	b.out = b.out[:0]
	if cap(b.out) > mailKept {
		b.out = nil
	}
}

// shut refuses mail from now on and returns what is left.
func (b *mailbox) shut() []mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	left := b.in
	b.in = nil
	return left
}
