package loop

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// ErrHandshakeShed is why OnClose comes for a connection whose TLS handshake was
// given up in favor of others. Raise Config.MaxHandshakes if peers are honest and
// that many.
var ErrHandshakeShed = errors.New("loop: a TLS handshake was shed")

// HandshakesShed counts the connections that ended with ErrHandshakeShed. Any
// goroutine.
func (g *Group) HandshakesShed() uint64 { return g.shed.Load() }

var errDisplaced = fmt.Errorf("%w: others queued for its place, and it was waiting for its peer", ErrHandshakeShed)

// longWait is what counts as long while handshakes queue for a place. A
// handshake that has waited longer for its peer gives its place up. Once the
// first in the queue has waited longer, there is overload: every other place goes
// to the newest, who is most likely to be there still. The rest goes to the first,
// or one that is overtaken once might be overtaken for ever.
const longWait = 500 * time.Millisecond

const defaultMaxHandshakes = 1024

// places bounds how many handshakes of a group run at a time. The others queue.
type places struct {
	limit    int                  // immutable
	longWait time.Duration        // immutable
	now      func() time.Duration // immutable

	mu      sync.Mutex
	taken   int
	queue   list.List // of *tlsHandshake without a place, the first one first
	holders list.List // of *tlsHandshake with a place that wait for their peers, the longest first
	look    *time.Timer
	looking bool // look runs
	newest  bool // who got the last place was the newest
}

func newPlaces(limit int, now func() time.Duration) *places {
	return &places{limit: limit, longWait: longWait, now: now}
}

// place is what places know of a handshake. Guarded by their mutex.
type place struct {
	taken  bool
	spot   *list.Element // in the queue, or among the holders
	since  time.Duration // of that; among the holders, earlier by what it had waited before
	waited time.Duration // for its peer, until it last answered
}

// admit reports whether there is a place for h, with which run is to be called.
// Otherwise h queues for one.
func (ps *places) admit(h *tlsHandshake) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &h.place
	if ps.taken < ps.limit {
		ps.taken++
		p.taken = true
		return true
	}
	p.spot, p.since = ps.queue.PushBack(h), ps.now()
	ps.lookLocked()
	return false
}

// run runs handshakes, one after the other, as long as some queue.
func (ps *places) run(h *tlsHandshake) {
	defer func() {
		if h != nil { // runtime.Goexit, in a callback of its tls.Config
			if h = ps.next(h); h != nil {
				go ps.run(h)
			}
		}
	}()
	growStack()
	for h != nil {
		h.shake()
		h = ps.next(h)
	}
}

// growStack makes the stack of a goroutine as large as a handshake needs it. Otherwise it grows
// four times, and is copied each time with what lies deeper.
//
//go:noinline
func growStack() byte {
	var frame [16 << 10]byte
	return frame[len(os.Args)%len(frame)]
}

// next takes the place of h back, and returns who has it now; nil if nobody.
func (ps *places) next(h *tlsHandshake) *tlsHandshake {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &h.place
	if !p.taken {
		return nil
	}
	p.taken = false
	return ps.passLocked()
}

// passLocked gives a place that is free to one in the queue, and returns it.
func (ps *places) passLocked() *tlsHandshake {
	e := ps.queue.Front()
	if e == nil {
		ps.taken--
		return nil
	}
	overload := ps.now()-e.Value.(*tlsHandshake).place.since > ps.longWait
	if ps.newest = overload && !ps.newest; ps.newest {
		e = ps.queue.Back()
	}
	h := ps.queue.Remove(e).(*tlsHandshake)
	h.place = place{taken: true}
	return h
}

// waits notes that h waits for its peer. What it has waited before counts: a peer
// that sends bit by bit does not begin anew.
func (ps *places) waits(h *tlsHandshake) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &h.place
	if !p.taken {
		return
	}
	p.since = ps.now() - p.waited
	at := ps.holders.Back()
	for at != nil && at.Value.(*tlsHandshake).place.since > p.since {
		at = at.Prev()
	}
	if at == nil {
		p.spot = ps.holders.PushFront(h)
	} else {
		p.spot = ps.holders.InsertAfter(h, at)
	}
	ps.lookLocked()
}

// answered notes that h waits no more.
func (ps *places) answered(h *tlsHandshake) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := &h.place
	if p.spot == nil { // it has lost its place
		return
	}
	ps.holders.Remove(p.spot)
	p.spot, p.waited = nil, ps.now()-p.since
}

// forget takes h out of the queue.
func (ps *places) forget(h *tlsHandshake) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := &h.place; p.spot != nil && !p.taken {
		ps.queue.Remove(p.spot)
		p.spot = nil
	}
}

// lookLocked sees to it that relieve is called when the longest wait of a holder
// is a long one, if anybody queues.
func (ps *places) lookLocked() {
	first := ps.holders.Front()
	if ps.looking || first == nil || ps.queue.Len() == 0 {
		return
	}
	ps.looking = true
	in := first.Value.(*tlsHandshake).place.since + ps.longWait - ps.now()
	if ps.look == nil {
		ps.look = time.AfterFunc(in, ps.relieve)
		return
	}
	ps.look.Reset(in)
}

// relieve passes the places of those on whose peers has been waited for long to
// those that queue.
func (ps *places) relieve() {
	ps.mu.Lock()
	ps.looking = false
	var out, in []*tlsHandshake
	for e := ps.holders.Front(); e != nil && ps.queue.Len() > 0; e = ps.holders.Front() {
		h := e.Value.(*tlsHandshake)
		if ps.now()-h.place.since < ps.longWait {
			break
		}
		ps.holders.Remove(e)
		h.place = place{}
		out, in = append(out, h), append(in, ps.passLocked())
	}
	ps.lookLocked()
	ps.mu.Unlock()
	for i, h := range out {
		h.displace()
		go ps.run(in[i])
	}
}
