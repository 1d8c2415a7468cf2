// Package headcount counts the connections of a server within a limit.
package headcount

import "sync/atomic"

// Count is the number of connections: all of them, and among them those over the
// limit that are refused with an answer. Both are one word: who sees one without
// the other takes a refused connection for one that has a place. The zero value is
// none. Any goroutine.
type Count struct{ word atomic.Uint64 } // refused in the upper half, all in the lower

const refusedOne = 1 << 32

// Entry is what becomes of a connection that comes.
type Entry uint8

// What may become of it.
const (
	Taken   Entry = iota // it has a place until Leave
	Refused              // over the limit, it gets an answer; it counts until Refusal and Leave
	Denied               // there are too many refused; it does not count
)

// Enter counts a connection within limit (0 and less: none), or as one of at most
// maxRefused that are refused.
func (c *Count) Enter(limit, maxRefused int) Entry {
	for {
		word := c.word.Load()
		all, refused := int(uint32(word)), int(word>>32)
		next, e := word+1, Taken
		if limit > 0 && all-refused >= limit {
			if refused >= maxRefused {
				return Denied
			}
			next, e = next+refusedOne, Refused
		}
		if c.word.CompareAndSwap(word, next) {
			return e
		}
	}
}

// Refusal ends the answer to a Refused connection. Leave follows.
func (c *Count) Refusal() { c.word.Add(^uint64(refusedOne - 1)) }

// Leave ends a connection. It returns how many are left.
func (c *Count) Leave() (left int) { return int(uint32(c.word.Add(^uint64(0)))) }

// All returns how many connections there are.
func (c *Count) All() int { return int(uint32(c.word.Load())) }
