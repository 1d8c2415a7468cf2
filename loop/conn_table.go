package loop

import (
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// pageSize is the number of descriptors of a page.
const pageSize = 1024

// page has the connections of so many descriptors. Each place is used by the loop that owns
// the descriptor alone. The next one that gets the number may be another loop: it is atomic
// for the race detector, which does not know that the kernel orders them.
type page [pageSize]atomic.Pointer[Conn]

// pages are the connections of all loops of a group by descriptor. The descriptors of each
// loop lie anywhere among all of them, so with a table for each loop a connection would
// take a place in every one.
type pages struct {
	mu  sync.Mutex
	all []*page // guarded by mu; replaced, never changed
}

// upTo returns the pages, with that of fd.
func (p *pages) upTo(fd int) []*page {
	p.mu.Lock()
	defer p.mu.Unlock()
	if missing := fd/pageSize + 1 - len(p.all); missing > 0 {
		p.all = slices.Clone(p.all)
		for range missing {
			p.all = append(p.all, new(page))
		}
	}
	return p.all
}

// connTable finds the connections of a loop by their descriptors. Owned by the loop.
type connTable struct {
	shared *pages   // immutable
	pages  []*page  // of shared, as many as the loop needed so far
	own    []uint64 // a bit for each descriptor that the loop owns
}

// of returns the connection of fd; nil if it is none. Where an event is of an earlier owner
// of the number, it may be one of another loop.
func (t *connTable) of(fd int) *Conn {
	if i := uint(fd) / pageSize; i < uint(len(t.pages)) {
		return t.pages[i][fd%pageSize].Load()
	}
	return nil
}

// put makes c the owner of fd.
func (t *connTable) put(fd int, c *Conn) {
	if fd/pageSize >= len(t.pages) {
		t.pages = t.shared.upTo(fd)
	}
	t.pages[fd/pageSize][fd%pageSize].Store(c)
	if missing := fd/64 + 1 - len(t.own); missing > 0 {
		t.own = append(t.own, make([]uint64, missing)...)
	}
	t.own[fd/64] |= 1 << (fd % 64)
}

func (t *connTable) take(fd int) {
	t.pages[fd/pageSize][fd%pageSize].Store(nil)
	t.own[fd/64] &^= 1 << (fd % 64)
}

// end is above all descriptors that the loop has owned.
func (t *connTable) end() int { return len(t.own) * 64 }

// next returns the first descriptor from fd on that the loop owns; end if there is none.
func (t *connTable) next(fd int) int {
	for i := fd / 64; i < len(t.own); i++ {
		word := t.own[i]
		if i == fd/64 {
			word &= ^uint64(0) << (fd % 64)
		}
		if word != 0 {
			return i*64 + bits.TrailingZeros64(word)
		}
	}
	return t.end()
}

// enlist makes c the owner of the events of fd.
func (l *Loop) enlist(fd int, c *Conn) {
	l.table.put(fd, c)
	l.conns.Add(1)
}

func (l *Loop) delist(fd int) {
	l.table.take(fd)
	l.conns.Add(-1)
}
