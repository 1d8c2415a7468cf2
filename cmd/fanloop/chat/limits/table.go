package limits

import (
	"container/list"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"
)

// ErrLimit is wrapped by all errors about a limit.
var ErrLimit = errors.New("limits: too many")

// What is limited.
type What string

// All that is.
const (
	Connections What = "connections" // at a time
	Topics      What = "topics"      // subscriptions at a time
	Connects    What = "connects"    // new connections
	Commands    What = "commands"    // by their costs
	Bytes       What = "bytes"
)

// Error says which limit it was.
type Error struct {
	What What
	// Retry is after what time to try again; 0: when something has ended.
	Retry time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	if e.Retry == 0 {
		return fmt.Sprintf("%v %s; end one first", ErrLimit, e.What)
	}
	return fmt.Sprintf("%v %s; try again in %v", ErrLimit, e.What, e.Retry.Round(time.Millisecond))
}

// Unwrap returns ErrLimit.
func (e *Error) Unwrap() error { return ErrLimit }

// Limits are for each user, or for each address. The zero value of a field is no
// limit.
type Limits struct {
	Connections int
	Topics      int
	Connects    Rate
	Commands    Rate
	Bytes       Rate
}

// Config is how a Table works.
type Config struct {
	Limits Limits
	// Max is how many are remembered who are not connected (100 000). Beyond that those
	// are forgotten who were there the longest time ago.
	Max int
	// Clock is required.
	Clock *Clock
}

// Table has the limits of all users, or of all addresses. Its methods may be called by
// any goroutine.
type Table[K comparable] struct {
	config Config // immutable

	mu      sync.Mutex
	entries map[K]*entry[K] // guarded by mu
	idle    list.List       // of *entry that nobody holds, the oldest first; guarded by mu
}

// entry is one user.
type entry[K comparable] struct {
	key                       K             // immutable
	connects, commands, bytes bucket        // atomic
	places                    int           // guarded by mu of the table
	topics                    int           // guarded by mu of the table
	element                   *list.Element // in idle; guarded by mu of the table
}

// New returns a Table.
func New[K comparable](c Config) (*Table[K], error) {
	if c.Clock == nil {
		return nil, errors.New("limits: a table needs a clock")
	}
	if c.Max <= 0 {
		c.Max = 100_000
	}
	return &Table[K]{config: c, entries: make(map[K]*entry[K])}, nil
}

// Network is what counts as one address: the address in IPv4, and the first 64 bits in
// IPv6, of which one customer has all others.
func Network(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // fails for no address, which is a key too
	return p
}

// Place is a connection in a Table.
type Place[K comparable] struct {
	table  *Table[K]
	entry  *entry[K]
	topics int  // guarded by mu of the table
	left   bool // guarded by mu of the table
}

// Connect gives a new connection a place, or returns an Error. Leave gives it back.
func (t *Table[K]) Connect(key K) (*Place[K], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.find(key)
	if most := t.config.Limits.Connections; most > 0 && e.places >= most {
		return nil, &Error{What: Connections}
	}
	if retry := e.connects.take(t.config.Limits.Connects, t.config.Clock, 1); retry > 0 {
		return nil, &Error{Connects, retry}
	}
	e.places++
	t.listed(e)
	return &Place[K]{table: t, entry: e}, nil
}

// Allow is Place.Allow for somebody who need not be connected.
func (t *Table[K]) Allow(key K, cost, bytes float64) error {
	t.mu.Lock()
	e := t.find(key)
	t.mu.Unlock()
	return t.take(e, cost, bytes)
}

func (t *Table[K]) take(e *entry[K], cost, bytes float64) error {
	l := &t.config.Limits
	if bytes > 0 {
		if retry := e.bytes.take(l.Bytes, t.config.Clock, bytes); retry > 0 {
			return &Error{Bytes, retry}
		}
	}
	if retry := e.commands.take(l.Commands, t.config.Clock, cost); retry > 0 {
		return &Error{Commands, retry}
	}
	return nil
}

// find returns the entry of a key, as the one that was there last. Under mu.
func (t *Table[K]) find(key K) *entry[K] {
	e := t.entries[key]
	if e == nil {
		e = &entry[K]{key: key}
		t.entries[key] = e
	}
	t.listed(e)
	t.forget()
	return e
}

// listed puts an entry at the end of idle if nobody holds it, and takes it out if
// somebody does. Under mu.
func (t *Table[K]) listed(e *entry[K]) {
	switch {
	case e.places > 0 && e.element != nil:
		t.idle.Remove(e.element)
		e.element = nil
	case e.places == 0 && e.element != nil:
		t.idle.MoveToBack(e.element)
	case e.places == 0:
		e.element = t.idle.PushBack(e)
	}
}

// forget drops up to two of the oldest that have recovered, and all that are too many.
// The last one stays: it is in use. Under mu.
func (t *Table[K]) forget() {
	now := t.config.Clock.Now()
	for n := 0; t.idle.Len() > 1; n++ {
		e := t.idle.Front().Value.(*entry[K])
		recovered := e.connects.recovered(now) && e.commands.recovered(now) && e.bytes.recovered(now)
		if t.idle.Len() <= t.config.Max && !(recovered && n < 2) {
			return
		}
		t.idle.Remove(e.element)
		delete(t.entries, e.key)
	}
}

// Len is how many are remembered, with those who are connected.
func (t *Table[K]) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.entries)
}

// Allow takes the cost and the bytes of a command, or returns an Error. It looks
// nothing up and allocates nothing where it succeeds. A command that is refused has
// taken nothing of its cost; its bytes have been read and count.
func (p *Place[K]) Allow(cost, bytes float64) error { return p.table.take(p.entry, cost, bytes) }

// Owe takes a cost that is known only when it has been spent. Nothing is refused: what is
// asked for next waits, for half a minute at most. A command of no cost is allowed as soon as
// nothing is owed.
func (p *Place[K]) Owe(cost float64) {
	p.entry.commands.owe(p.table.config.Limits.Commands, p.table.config.Clock, cost)
}

// Subscribe counts one more subscription, or returns an Error.
func (p *Place[K]) Subscribe() error {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if most := t.config.Limits.Topics; p.left || most > 0 && p.entry.topics >= most {
		return &Error{What: Topics}
	}
	p.topics++
	p.entry.topics++
	return nil
}

// Unsubscribe counts one less.
func (p *Place[K]) Unsubscribe() {
	p.table.mu.Lock()
	defer p.table.mu.Unlock()
	if p.topics > 0 {
		p.topics--
		p.entry.topics--
	}
}

// Leave gives the place back, with its subscriptions. Further calls do nothing.
func (p *Place[K]) Leave() {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	p.entry.topics -= p.topics
	p.topics = 0
	p.entry.places--
	t.listed(p.entry)
	t.forget()
}
