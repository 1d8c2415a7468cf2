package presence

import (
	"maps"
	"slices"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// Update is what changed in a topic since the update before. A client applies those
// with a Seq behind that of the State it began with. It is shared: do not change it.
type Update struct {
	Topic string
	Seq   uint64 // of this topic on this node; each update has the next one
	Count int    // users now
	// Names: the clients know who is there, as far as they were told. Otherwise there
	// are more than Config.Full, or the level is lower, and Joined and Left are empty.
	Names bool
	// Reset: forget all names; those in Joined, and in the updates to come, begin anew.
	Reset  bool
	Joined []string // in no order
	Left   []string
	Sample []string // instead of the one before; empty: that one still holds, unless Count is 0
}

// State is what a client begins with.
type State struct {
	Seq    uint64
	Count  int
	Names  bool
	Users  []string // all that clients were told, sorted; with Names only
	Sample []string // at the level Sample only
}

// Member is one user of a topic.
type Member struct {
	User        string
	Connections int // on all nodes; 0 within the grace time
}

// Watch is one who watches a topic. Its methods may be called by any goroutine.
type Watch struct {
	p       *Presence
	topic   *mirror.Topic
	room    *room
	update  func(Update)
	stopped atomic.Bool
}

// Watch calls update for what changes in a topic from now on, in order, on one
// goroutine of the Presence, which it must not block. All watches of a topic get the
// same updates: one for all clients of a node will do. A node that watches has all
// users of the topic in memory; those of other nodes come within moments.
func (p *Presence) Watch(topic string, update func(Update)) (*Watch, error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return nil, err
	}
	level := p.config.Level(topic)
	if level == Off {
		return nil, ErrLevel
	}
	p.group.Lock()
	defer p.group.Unlock()
	t, err := p.group.Watch(topic)
	if err != nil {
		return nil, err
	}
	r := roomOf(t)
	if len(r.watches) == 0 {
		r.begin(p, level)
	}
	w := &Watch{p: p, topic: t, room: r, update: update}
	r.watches[w] = struct{}{}
	return w, nil
}

// Close ends the watch. An update that is under way may still be delivered.
func (w *Watch) Close() {
	w.p.group.Lock()
	defer w.p.group.Unlock()
	if w.stopped.Swap(true) || w.p.group.Closed() {
		return
	}
	delete(w.room.watches, w)
	if len(w.room.watches) == 0 {
		w.room.end(w.p)
	}
	w.topic.Unwatch()
}

func (w *Watch) deliver(u Update) {
	if !w.stopped.Load() && w.update != nil {
		w.update(u)
	}
}

// State is what a client begins with that comes now.
func (w *Watch) State() State {
	w.p.group.Lock()
	defer w.p.group.Unlock()
	r := w.room
	s := State{Seq: r.seq, Count: r.count, Names: r.names, Sample: r.sample}
	if r.names {
		s.Users = slices.Sorted(maps.Keys(r.told))
	}
	return s
}

// Count is the number of users now.
func (w *Watch) Count() int {
	w.p.group.Lock()
	defer w.p.group.Unlock()
	return len(w.room.users)
}

// Page returns up to n users behind a name, in the order of their names; empty: from
// the first. The error is ErrLevel below Pages. The first page after a change sorts
// all of them.
func (w *Watch) Page(after string, n int) ([]Member, error) {
	if w.p.config.Level(w.topic.Name) < Pages {
		return nil, ErrLevel
	}
	w.p.group.Lock()
	defer w.p.group.Unlock()
	r := w.room
	names := r.list()
	i, found := slices.BinarySearch(names, after)
	if found {
		i++
	}
	var page []Member
	for _, name := range names[i:min(len(names), i+max(n, 0))] {
		page = append(page, Member{name, r.users[name].connections})
	}
	return page, nil
}
