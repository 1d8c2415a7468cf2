package revoke

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Config is how a List works. The zero value of a field means its default.
type Config struct {
	// Lifetime is how long a token can be good after it was issued: MaxLifetime of the
	// Verifier (24 h). It is the same on all nodes.
	Lifetime time.Duration
	// Leeway is how far the clock of who makes tokens may be ahead, as for the Verifier (0).
	// It is the same on all nodes.
	Leeway time.Duration
	// Max is how many revocations there may be (200 000).
	Max int
	// Bus reaches other nodes; nil: there are none.
	Bus cluster.Bus
	// Name is what an ErrUnconfirmed of another node calls this one.
	Name string
	// Every is the time between two beats to other nodes (500 ms).
	Every time.Duration
	// Store keeps revocations over a restart; nil: none does.
	Store Store
	// OnError is called when something failed that nobody waits for. It does not block.
	OnError func(error)
}

func (c Config) withDefaults() Config {
	if c.Lifetime <= 0 {
		c.Lifetime = 24 * time.Hour
	}
	if c.Max <= 0 {
		c.Max = 200_000
	}
	if c.Every <= 0 {
		c.Every = 500 * time.Millisecond
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	return c
}

// List has what is revoked. Its methods may be called by any goroutine.
type List struct {
	config Config // immutable
	nodes  *nodes // immutable; nil without a bus

	mu      sync.Mutex // guards all below
	closed  bool
	entries map[place]*entry
	sums    [buckets]uint64 // of the entries, by bucket
	swept   time.Time
	first   [afterLastKind]map[string]*link // registrations, as rings by the names of their places
	endings map[place][]*ending             // that are not over
	count   int                             // of registrations
}

// New returns a List. Close it before the bus and the store.
func New(c Config) (*List, error) {
	l := &List{config: c.withDefaults(), entries: make(map[place]*entry), endings: make(map[place][]*ending), swept: time.Now()}
	for kind := range l.first {
		l.first[kind] = make(map[string]*link)
	}
	if l.config.Store != nil {
		records, err := l.config.Store.Load()
		if err != nil {
			return nil, fmt.Errorf("revoke: %w", err)
		}
		for _, r := range records {
			l.add(r.place(), r.Before, time.Until(time.Unix(r.Ends, 0)))
		}
	}
	if c.Bus != nil {
		if err := l.join(); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// Close ends what the list does with other nodes. Registrations are not called any
// more when it has returned.
func (l *List) Close() {
	l.mu.Lock()
	was := l.closed
	l.closed = true
	l.mu.Unlock()
	if !was && l.nodes != nil {
		l.nodes.leave()
	}
}

// Revoke adds a revocation and ends the connections that it concerns. It returns nil
// when this node and all others that are known have ended theirs. When ctx ends
// before, the error is ErrUnconfirmed, wrapped, with a nodes.UnconfirmedError that names
// those that did not answer, and the revocation is in force here all the same: others get
// it as soon as they can be reached.
func (l *List) Revoke(ctx context.Context, r Revocation) error {
	e, err := l.check(r)
	if err != nil {
		return err
	}
	if err := l.put(e); err != nil {
		return err
	}
	stored := l.store([]*entry{e})
	if l.nodes != nil {
		err = l.nodes.tell(ctx, e)
	}
	return errors.Join(stored, err, l.await(ctx, e))
}

// check makes an entry of r.
func (l *List) check(r Revocation) (*entry, error) {
	now := time.Now()
	if r.Kind == 0 || r.Kind >= afterLastKind || !validName(r.Name) || r.Before.After(now.Add(time.Minute)) {
		return nil, ErrRevocation
	}
	e := &entry{place: place{r.Kind, r.Name}, ends: now.Add(l.config.Lifetime)}
	if r.Kind == User {
		if r.Before.IsZero() {
			r.Before = now
		}
		e.before = r.Before.Add(l.config.Leeway).Unix()
	}
	return e, nil
}

// put adds an entry of this node and ends what it concerns.
func (l *List) put(e *entry) error {
	l.mu.Lock()
	l.sweep()
	switch {
	case l.closed:
		l.mu.Unlock()
		return ErrClosed
	case l.entries[e.place] == nil && len(l.entries) >= l.config.Max:
		err := &full{time.Until(l.firstEnd())}
		l.mu.Unlock()
		return err
	}
	added := l.add(e.place, e.before, l.config.Lifetime)
	ending := l.concerned(added)
	l.mu.Unlock()
	l.begin(ending)
	return nil
}

// merge adds entries of another node and ends what they concern.
func (l *List) merge(received []*entry) {
	var fresh []*entry
	var endings []*ending
	l.mu.Lock()
	for _, e := range received {
		if added := l.add(e.place, e.before, time.Until(e.ends)); added != nil {
			fresh = append(fresh, added)
			endings = append(endings, l.concerned(added))
		}
	}
	l.mu.Unlock()
	for _, e := range endings {
		l.begin(e)
	}
	if err := l.store(fresh); err != nil {
		l.config.OnError(err)
	}
}

// prolong is how much later a revocation has to end to be another one. Between nodes
// the same one ends a little later each time that it is sent.
const prolong = time.Minute

// add adds a revocation that is kept for a time, and returns nil if the list has it
// already. One that was made again is kept from then on. Under mu.
func (l *List) add(at place, before int64, remaining time.Duration) *entry {
	remaining = min(remaining, l.config.Lifetime) // whatever a clock or a file says
	if remaining <= 0 {
		return nil
	}
	e := &entry{at, before, time.Now().Add(remaining)}
	if old := l.entries[at]; old != nil {
		if old.before > before || old.before == before && e.ends.Before(old.ends.Add(prolong)) {
			return nil
		}
		l.drop(old)
	}
	l.entries[at] = e
	l.sums[at.bucket()] ^= e.sum()
	return e
}

func (l *List) drop(e *entry) {
	delete(l.entries, e.place)
	l.sums[e.bucket()] ^= e.sum()
}

// sweep drops what concerns no token any more, each second at most. Under mu.
func (l *List) sweep() {
	now := time.Now()
	if now.Sub(l.swept) < time.Second {
		return
	}
	l.swept = now
	for _, e := range l.entries {
		if !now.Before(e.ends) {
			l.drop(e)
		}
	}
}

// firstEnd is when the first entry ends. Under mu.
func (l *List) firstEnd() (first time.Time) {
	for _, e := range l.entries {
		if first.IsZero() || e.ends.Before(first) {
			first = e.ends
		}
	}
	return first
}

// checkLocked returns ErrRevoked if a token is revoked now, ErrTooSoon, or ErrClosed. Under mu.
func (l *List) checkLocked(id *Identity) error {
	if l.closed {
		return ErrClosed
	}
	var soon error
	for _, at := range id.names() {
		e := l.entries[at]
		switch {
		case at.name == "" || e == nil || !e.concerns(id.Issued.Unix()):
		case e.kind == User && id.Issued.Unix() > e.before-int64(l.config.Leeway/time.Second):
			soon = &tooSoon{time.Until(time.Unix(e.before+1, 0))}
		default:
			return ErrRevoked
		}
	}
	return soon
}

// Stats are counts for metrics.
type Stats struct {
	Revocations   int    // in the list
	Max           int    // of them
	Registrations int    // connections, and topic tokens in use
	Nodes         int    // others that are known
	Dropped       uint64 // messages of others that came faster than they were taken
}

// Stats returns what the list has now.
func (l *List) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Revocations: len(l.entries), Max: l.config.Max, Registrations: l.count}
	if l.nodes != nil {
		s.Nodes, s.Dropped = l.nodes.others.Len(), l.nodes.dropped.Load()
	}
	return s
}
