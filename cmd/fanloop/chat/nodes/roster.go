package nodes

import (
	"crypto/rand"
	"iter"
	"time"
)

// ID names a node until it ends.
type ID [16]byte

// NewID returns one that no other node has.
func NewID() (id ID) {
	_, _ = rand.Read(id[:]) // never fails
	return id
}

// Roster has the other nodes that were heard, and the waits for all of them. P is what is
// known of a node, W what a wait is for. It has no lock: its owner guards it. Use NewRoster.
type Roster[P, W any] struct {
	peers  map[ID]*heard[P]
	waits  map[uint64]*Wait[P, W]
	last   uint64
	looked time.Time // for those that are silent
}

type heard[P any] struct {
	about P
	at    time.Time
}

// Wait ends when all nodes that were known at its begin have confirmed it, or are gone.
type Wait[P, W any] struct {
	For     W
	Done    chan struct{} // closed at the end
	missing map[ID]P
}

// NewRoster returns one without nodes.
func NewRoster[P, W any]() Roster[P, W] {
	return Roster[P, W]{peers: make(map[ID]*heard[P]), waits: make(map[uint64]*Wait[P, W]), looked: time.Now()}
}

// Hear notes that a node is there now, and reports whether it is a new one.
func (r *Roster[P, W]) Hear(id ID, about P) (first bool) {
	first = r.peers[id] == nil
	r.peers[id] = &heard[P]{about, time.Now()}
	return first
}

// Knows reports whether a node is there.
func (r *Roster[P, W]) Knows(id ID) bool { return r.peers[id] != nil }

// Len is the number of nodes.
func (r *Roster[P, W]) Len() int { return len(r.peers) }

// All returns what is known of each node, and when it was heard last.
func (r *Roster[P, W]) All() iter.Seq2[P, time.Time] {
	return func(yield func(P, time.Time) bool) {
		for _, p := range r.peers {
			if !yield(p.about, p.at) {
				return
			}
		}
	}
}

// Forget removes a node. Nobody waits for it any more.
func (r *Roster[P, W]) Forget(id ID) {
	delete(r.peers, id)
	for number := range r.waits {
		r.Confirm(number, id)
	}
}

// ForgetSilent forgets those that were not heard for a time, and returns them. Call it
// several times in that time: who did not, stood still, does not know who was silent, and
// gives each of them that time again.
func (r *Roster[P, W]) ForgetSilent(after time.Duration) (gone map[ID]P) {
	now := time.Now()
	stood := now.Sub(r.looked) > after/2
	r.looked = now
	for id, p := range r.peers {
		switch {
		case stood:
			p.at = now
		case now.Sub(p.at) > after:
			r.Forget(id)
			if gone == nil {
				gone = make(map[ID]P)
			}
			gone[id] = p.about
		}
	}
	return gone
}

// Expect begins to wait for all nodes that are known; nil: there are none. No other wait
// has its number.
func (r *Roster[P, W]) Expect(what W) (number uint64, w *Wait[P, W]) {
	r.last++
	if len(r.peers) == 0 {
		return r.last, nil
	}
	w = &Wait[P, W]{what, make(chan struct{}), make(map[ID]P, len(r.peers))}
	for id, p := range r.peers {
		w.missing[id] = p.about
	}
	r.waits[r.last] = w
	return r.last, w
}

// Waits are those that have not ended, by their numbers.
func (r *Roster[P, W]) Waits() iter.Seq2[uint64, *Wait[P, W]] {
	return func(yield func(uint64, *Wait[P, W]) bool) {
		for number, w := range r.waits {
			if !yield(number, w) {
				return
			}
		}
	}
}

// Confirm notes that a node has what a wait is for. It returns the wait if it was missing
// the node.
func (r *Roster[P, W]) Confirm(number uint64, id ID) *Wait[P, W] {
	w := r.waits[number]
	if w == nil {
		return nil
	}
	if _, is := w.missing[id]; !is {
		return nil
	}
	if delete(w.missing, id); len(w.missing) == 0 {
		delete(r.waits, number)
		close(w.Done)
	}
	return w
}

// GiveUp ends a wait, and returns the nodes for which it waited in vain, as they were
// known when it began.
func (r *Roster[P, W]) GiveUp(number uint64, w *Wait[P, W]) (missing map[ID]P) {
	delete(r.waits, number)
	return w.missing
}
