package engine

import "sync/atomic"

// headcount counts the connections of a server: all of them, and among them those
// over the limit that are told so. They are one word, since who sees one without the
// other takes a connection that is told so for one that has a place. Any goroutine.
type headcount struct{ word atomic.Uint64 } // told in the upper half, all in the lower

const toldOne = 1 << 32

// entry is what becomes of a connection that comes.
type entry uint8

const (
	entryTaken  entry = iota // it has a place until leave
	entryTold                // it is over the limit; it counts until told and leave
	entryDenied              // so are too many; it does not count
)

// enter takes a connection in, within limit (0 and less: there is none), or as one of
// at most tell that are told.
func (h *headcount) enter(limit, tell int) entry {
	for {
		word := h.word.Load()
		all, told := int(uint32(word)), int(word>>32)
		next, e := word+1, entryTaken
		if limit > 0 && all-told >= limit {
			if told >= tell {
				return entryDenied
			}
			next, e = next+toldOne, entryTold
		}
		if h.word.CompareAndSwap(word, next) {
			return e
		}
	}
}

// told is the end of the telling; leave follows.
func (h *headcount) told() { h.word.Add(^uint64(toldOne - 1)) }

// leave is the end of a connection. It returns how many are left.
func (h *headcount) leave() (left int) { return int(uint32(h.word.Add(^uint64(0)))) }

func (h *headcount) all() int { return int(uint32(h.word.Load())) }
