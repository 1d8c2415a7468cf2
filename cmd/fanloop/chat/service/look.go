package service

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookWindow = 5 * time.Second  // of rates
	lookEnds   = 15 * time.Second // without a look, nothing is counted by name any more
	lookNames  = 10_000           // counted in a window; more are left out
)

// Look is what an operator sees of a node by name.
type Look struct {
	Node    string  `json:"node"`
	Topics  []Load  `json:"topics"`
	Talkers []Load  `json:"talkers"`
	Slow    []Queue `json:"slow"`
}

// Load is how much there is of a topic, or of a user.
type Load struct {
	Name  string  `json:"name"`
	Size  int     `json:"size"`  // subscriptions, or connections, on this node
	Rate  float64 `json:"rate"`  // messages a second published here
	Delay float64 `json:"delay"` // of a topic: seconds that messages wait for their batch at the moment
	count uint64
}

// Queue is a connection that does not read as fast as it is sent to.
type Queue struct {
	User    string `json:"user"`
	Address string `json:"address"`
	Bytes   int    `json:"bytes"`
}

// looking counts by name, while somebody looks.
type looking struct {
	now atomic.Pointer[window] // nil: nobody looks

	mu     sync.Mutex
	before *window   // the last full one; guarded by mu
	asked  time.Time // guarded by mu
}

// window is what was published in a time.
type window struct {
	began time.Time

	mu            sync.Mutex
	topics, users map[string]uint64 // guarded by mu
	lasted        time.Duration     // set when it is full; guarded by mu
}

func newWindow() *window {
	return &window{began: time.Now(), topics: make(map[string]uint64), users: make(map[string]uint64)}
}

// published counts a message, if somebody looks.
func (l *looking) published(topic, user string) {
	w := l.now.Load()
	if w == nil {
		return
	}
	w.mu.Lock()
	countName(w.topics, topic)
	countName(w.users, user)
	over := time.Since(w.began) > lookWindow
	w.mu.Unlock()
	if over {
		l.turn(false)
	}
}

func countName(in map[string]uint64, name string) {
	if _, known := in[name]; known || len(in) < lookNames {
		in[name]++
	}
}

// turn begins a new window when the last one is full, and the first one when asked. It
// ends the last one when nobody looks any more.
func (l *looking) turn(asked bool) (last *window) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if asked {
		l.asked = time.Now()
	}
	w := l.now.Load()
	switch {
	case time.Since(l.asked) > lookEnds:
		l.before = nil
		l.now.Store(nil)
	case w == nil:
		l.now.Store(newWindow())
	case time.Since(w.began) > lookWindow:
		w.mu.Lock()
		w.lasted = time.Since(w.began)
		w.mu.Unlock()
		l.before = w
		l.now.Store(newWindow())
	}
	return l.before
}

// counts are those of the last full window, and how long it was.
func (w *window) counts() (topics, users map[string]uint64, lasted time.Duration) {
	if w == nil {
		return nil, nil, lookWindow
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.topics), maps.Clone(w.users), w.lasted
}

// Look returns the n largest of each kind. It visits each connection, and from then on
// publishes are counted by name, until nobody has looked for a while.
func (s *Service) Look(n int) Look {
	byTopic, byUser, lasted := s.looking.turn(true).counts()
	topics, users := make(map[string]*Load), make(map[string]*Load)
	look := Look{Node: s.name}
	s.registry.each(func(c *conn, user string) {
		loadOf(users, user).Size++
		for _, topic := range c.topics() {
			loadOf(topics, topic).Size++
		}
		if queued := c.ws.Buffered(); queued > 0 {
			look.Slow = append(look.Slow, Queue{user, c.remote.String(), queued})
		}
	})
	look.Topics, look.Talkers = ranked(topics, byTopic, lasted, n, true), ranked(users, byUser, lasted, n, false)
	for i := range look.Topics {
		one := &look.Topics[i]
		one.Delay = s.delayOf(one.Name).Seconds()
	}
	slices.SortFunc(look.Slow, func(a, b Queue) int { return b.Bytes - a.Bytes })
	look.Slow = look.Slow[:min(n, len(look.Slow))]
	return look
}

func loadOf(all map[string]*Load, name string) *Load {
	if all[name] == nil {
		all[name] = &Load{Name: name}
	}
	return all[name]
}

// ranked are the n with the highest rates, and of topics the n largest too.
func ranked(all map[string]*Load, counts map[string]uint64, lasted time.Duration, n int, bySize bool) []Load {
	for name, count := range counts {
		one := loadOf(all, name)
		one.count, one.Rate = count, float64(count)/lasted.Seconds()
	}
	list := make([]Load, 0, len(all))
	for _, one := range all {
		if bySize || one.count > 0 {
			list = append(list, *one)
		}
	}
	slices.SortFunc(list, func(a, b Load) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(b.Size, a.Size), cmp.Compare(a.Name, b.Name))
	})
	if len(list) <= n {
		return list
	}
	top := slices.Clone(list[:n])
	if bySize {
		rest := list[n:]
		slices.SortFunc(rest, func(a, b Load) int { return b.Size - a.Size })
		top = append(top, rest[:min(n, len(rest))]...)
	}
	return top
}
