package cluster

import (
	"slices"
	"sync"
	"time"
)

// DefaultLinger is how long Lingering goes on listening unless told otherwise.
const DefaultLinger = 10 * time.Second

// Lingering returns a Bus that listens to each channel once, however many
// receivers it has, and for a while after the last one has stopped (10 s if
// linger is zero): clients who come and go would change the routes between
// servers again and again. Use it for the topics of clients.
func Lingering(bus Bus, linger time.Duration) Bus {
	return &lingering{bus: bus, linger: orDefault(linger, DefaultLinger), lines: make(map[Channel]*line)}
}

type lingering struct {
	bus    Bus
	linger time.Duration

	mu    sync.Mutex // guards lines, and stop and ending of each
	lines map[Channel]*line
}

// line is one channel that is listened to.
type line struct {
	stop   func()
	ending *time.Timer // runs while there are no receivers; nil: it does not

	mu        sync.RWMutex // taken after that of lingering
	receivers []*Receiver  // replaced, never changed
}

func (l *lingering) Send(c Channel, data []byte) error { return l.bus.Send(c, data) }

func (l *lingering) Listen(c Channel, r Receiver) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.lines[c]
	if n == nil {
		n = &line{}
		stop, err := l.bus.Listen(c, n)
		if err != nil {
			return nil, err
		}
		n.stop = stop
		l.lines[c] = n
	}
	if n.ending != nil {
		n.ending.Stop()
		n.ending = nil
	}
	mine := &r
	n.mu.Lock()
	n.receivers = append(slices.Clone(n.receivers), mine)
	n.mu.Unlock()
	var once sync.Once
	return func() { once.Do(func() { l.leave(c, n, mine) }) }, nil
}

// leave takes a receiver from a line, and ends the line when none has come back
// for a while.
func (l *lingering) leave(c Channel, n *line, r *Receiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n.mu.Lock()
	n.receivers = slices.DeleteFunc(slices.Clone(n.receivers), func(s *Receiver) bool { return s == r })
	left := len(n.receivers)
	n.mu.Unlock()
	if left > 0 {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(l.linger, func() {
		l.mu.Lock()
		over := n.ending == t
		if over {
			delete(l.lines, c)
		}
		l.mu.Unlock()
		if over {
			n.stop()
		}
	})
	n.ending = t
}

func (n *line) list() []*Receiver {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.receivers
}

func (n *line) Receive(data []byte) {
	for _, r := range n.list() {
		(*r).Receive(data)
	}
}

func (n *line) Gap(reason error) {
	for _, r := range n.list() {
		(*r).Gap(reason)
	}
}
