package natsbroker

import (
	"errors"
	"sync"
)

// outbox holds what is sent over core NATS until the client takes it, whose Publish waits
// when the server does not read. Whoever sends never waits. Any goroutine.
type outbox struct {
	wake chan struct{} // one element: there is something to send

	mu      sync.Mutex
	waiting letters
	taken   letters // empty, or with the goroutine that sends; owned by it
}

// letters are messages in order, their data one behind the other, and what else is done
// between them.
type letters struct {
	subjects []string // empty: something else is done
	ends     []int    // of the data of each, in data
	data     []byte
	others   []func() // in order
}

// maxWaiting is how many bytes may wait, with subjects and 64 for each message.
const maxWaiting = 8 << 20

// errFull is returned where the server reads more slowly than is sent.
var errFull = errors.New("too much waits to be sent; the server reads too slowly, or not at all")

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1)} }

// add has the parts sent as one message, in order with others. It copies them.
func (o *outbox) add(subject string, parts ...[]byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := &o.waiting
	size := len(w.data) + len(w.ends)*(64+len(subject))
	for _, p := range parts {
		size += len(p)
	}
	if len(w.ends) > 0 && size > maxWaiting {
		return errFull
	}
	for _, p := range parts {
		w.data = append(w.data, p...)
	}
	o.append(subject)
	return nil
}

// do has f called when all before it was sent, by the goroutine that sends. What waits is
// not bounded: f takes or gives up a subscription.
func (o *outbox) do(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting.others = append(o.waiting.others, f)
	o.append("")
}

// append ends a letter. Under mu.
func (o *outbox) append(subject string) {
	w := &o.waiting
	w.subjects, w.ends = append(w.subjects, subject), append(w.ends, len(w.data))
	if len(w.ends) == 1 {
		select {
		case o.wake <- struct{}{}:
		default:
		}
	}
}

// take returns what waits, until the next call.
func (o *outbox) take() *letters {
	o.mu.Lock()
	defer o.mu.Unlock()
	if cap(o.taken.data) > keptData {
		o.taken.data = nil
	}
	clear(o.taken.subjects)
	clear(o.taken.others)
	o.taken.subjects, o.taken.ends, o.taken.data = o.taken.subjects[:0], o.taken.ends[:0], o.taken.data[:0]
	o.taken.others = o.taken.others[:0]
	o.taken, o.waiting = o.waiting, o.taken
	return &o.taken
}

// keptData is the room for data that is kept.
const keptData = 1 << 20

// each calls send for each message, and what is to be done between them.
func (l *letters) each(send func(subject string, data []byte)) {
	from, done := 0, 0
	for i, end := range l.ends {
		if l.subjects[i] == "" {
			l.others[done]()
			done++
			continue
		}
		send(l.subjects[i], l.data[from:end])
		from = end
	}
}

// send gives the client what waits, until the end, and then what waits still.
func (b *Broker) send() {
	for over := false; !over; {
		select {
		case <-b.out.wake:
		case <-b.ended:
			over = true
		}
		b.out.take().each(func(subject string, data []byte) {
			_ = b.nc.Publish(subject, data) // without a connection it is lost, as what was under way
		})
	}
}
