package presence

import (
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// room is what a node knows of one topic. All of it is guarded by the mutex of the
// group.
type room struct {
	users  map[string]*user
	sorted []string // their names; nil: not made since the last change

	// What clients were told; kept while somebody watches.
	watches   map[*Watch]struct{}
	level     Level
	seq       uint64 // of the last update
	count     int
	names     bool                // the names in told are all, as far as the cap allows
	told      map[string]struct{} // names that clients have
	sample    []string            // those that clients have, at level Sample
	pending   []string            // users who are there and not told, or the other way round, perhaps
	queued    map[string]struct{} // who is in pending
	allowance int                 // bytes of updates
	refilled  time.Time
	task      mirror.Task
	running   bool // the task is due at some time
}

// user is one who is there, by some node.
type user struct {
	nodes       int
	connections int
}

// roomOf returns the room of a topic.
func roomOf(t *mirror.Topic) *room {
	r, _ := t.Data.(*room)
	if r == nil {
		r = &room{users: make(map[string]*user)}
		t.Data = r
	}
	return r
}

// change is called for each value of each node.
func (p *Presence) change(t *mirror.Topic, _ mirror.ID, name, old, value string) {
	r := roomOf(t)
	u := r.users[name]
	if u == nil {
		u = &user{}
		r.users[name] = u
	}
	was := u.nodes > 0
	if connections, there := decode(old); there {
		u.nodes--
		u.connections -= connections
	}
	if connections, there := decode(value); there {
		u.nodes++
		u.connections += connections
	}
	if u.nodes == 0 {
		delete(r.users, name)
	}
	if was != (u.nodes > 0) {
		r.sorted = nil
		r.changed(p, t, name)
	}
}

// changed has clients told that a user joined or left.
func (r *room) changed(p *Presence, t *mirror.Topic, name string) {
	if len(r.watches) == 0 {
		return
	}
	if r.names {
		r.queue(name)
	}
	r.schedule(p, t)
}

func (r *room) queue(name string) {
	if _, queued := r.queued[name]; !queued {
		r.queued[name] = struct{}{}
		r.pending = append(r.pending, name)
	}
}

// schedule has an update made, soon after the first change, and Config.Every after
// the one before.
func (r *room) schedule(p *Presence, t *mirror.Topic) {
	if r.running {
		return
	}
	r.running = true
	r.task.Do = func(now time.Time) { r.tell(p, t, now) }
	p.group.At(&r.task, later(time.Now().Add(flushEvery), r.refilled.Add(p.config.Every)))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// begin starts telling clients, for the first watch.
func (r *room) begin(p *Presence, level Level) {
	r.watches = make(map[*Watch]struct{})
	r.level = level
	r.count = len(r.users)
	r.told, r.queued = make(map[string]struct{}), make(map[string]struct{})
	r.pending, r.sample = nil, nil
	r.names = level == Full && len(r.users) <= p.config.Full
	if r.names {
		for name := range r.users {
			r.told[name] = struct{}{}
		}
	}
	if level == Sample {
		r.sample = r.some(p.config.Sample)
	}
	r.allowance, r.refilled = p.config.Bytes, time.Now()
}

// end stops telling clients, after the last watch.
func (r *room) end(p *Presence) {
	p.group.At(&r.task, time.Time{})
	r.running = false
	r.watches, r.told, r.queued, r.pending, r.sample = nil, nil, nil, nil, nil
}

// tell makes an update of what changed, as far as the cap allows; the rest follows.
func (r *room) tell(p *Presence, t *mirror.Topic, now time.Time) {
	r.running = false
	r.refill(p, now)
	if r.allowance < updateBytes {
		r.schedule(p, t)
		return
	}
	allowance := r.allowance
	r.allowance -= updateBytes
	u := Update{Topic: t.Name, Count: len(r.users)}
	if r.level == Full {
		u.Reset = r.switchNames(p)
		r.pick(&u)
	}
	rest := len(r.pending) > 0
	if r.level == Sample {
		u.Sample, rest = r.resample(p)
	}
	if rest {
		r.schedule(p, t)
	}
	if u.Count == r.count && !u.Reset && len(u.Joined)+len(u.Left)+len(u.Sample) == 0 {
		r.allowance = allowance // nothing to say
		return
	}
	r.seq++
	r.count = u.Count
	u.Seq, u.Names = r.seq, r.names
	for w := range r.watches {
		p.group.Call(func() { w.deliver(u) })
	}
}

// refill gives the room what it may say since the last update, for one second at
// most.
func (r *room) refill(p *Presence, now time.Time) {
	passed := min(now.Sub(r.refilled), time.Second)
	r.allowance = min(r.allowance+int(int64(p.config.Bytes)*int64(passed)/int64(time.Second)), p.config.Bytes)
	r.refilled = now
}

// switchNames begins or ends telling names, by the number of users, and reports
// whether clients have to forget those that they have.
func (r *room) switchNames(p *Presence) bool {
	switch n := len(r.users); {
	case r.names && n > p.config.Full:
		r.names = false
	case !r.names && n <= p.config.Full*3/4: // not to and fro at the limit
		r.names = true
	default:
		return false
	}
	clear(r.told)
	clear(r.queued)
	r.pending = nil
	if r.names {
		for name := range r.users {
			r.queue(name)
		}
	}
	return true
}

// pick takes names from pending while the allowance has room.
func (r *room) pick(u *Update) {
	for len(r.pending) > 0 {
		name := r.pending[0]
		_, told := r.told[name]
		there := r.users[name] != nil
		if told != there {
			cost := len(name) + nameBytes
			if r.allowance < cost {
				return
			}
			r.allowance -= cost
		}
		r.pending = r.pending[1:]
		delete(r.queued, name)
		switch {
		case there && !told:
			r.told[name] = struct{}{}
			u.Joined = append(u.Joined, name)
		case told && !there:
			delete(r.told, name)
			u.Left = append(u.Left, name)
		}
	}
	r.pending = nil
}

// resample replaces those of the sample who left. It returns the sample if it
// changed, and whether it has to and the cap does not allow it now.
func (r *room) resample(p *Presence) (sample []string, later bool) {
	kept := slices.DeleteFunc(slices.Clone(r.sample), func(name string) bool { return r.users[name] == nil })
	cost := 0
	for _, name := range kept {
		cost += len(name) + nameBytes
	}
	for name := range r.users {
		if len(kept) >= p.config.Sample || cost+len(name)+nameBytes > p.config.Bytes-updateBytes {
			break
		}
		if !slices.Contains(kept, name) {
			kept = append(kept, name)
			cost += len(name) + nameBytes
		}
	}
	switch {
	case slices.Equal(kept, r.sample):
		return nil, false
	case cost > r.allowance:
		return nil, true
	}
	r.allowance -= cost
	r.sample = kept
	return kept, false
}

// some returns up to n users.
func (r *room) some(n int) (names []string) {
	for name := range r.users {
		if len(names) >= n {
			break
		}
		names = append(names, name)
	}
	return names
}

// list returns the names of all users in order.
func (r *room) list() []string {
	if r.sorted == nil {
		for name := range r.users {
			r.sorted = append(r.sorted, name)
		}
		slices.Sort(r.sorted)
	}
	return r.sorted
}
