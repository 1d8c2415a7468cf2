// Package clustertest has a broker in memory whose faults are chosen by a seed,
// and the tests that every broker of package cluster has to pass.
package clustertest

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Faults is how often things go wrong, as probabilities.
type Faults struct {
	Lose    float64       // a live message is not delivered to a connection
	Repeat  float64       // it is delivered twice
	LoseAck float64       // a publish is stored, and fails with ErrUnavailable
	Fail    float64       // a request fails with ErrUnavailable, and does nothing
	Lag     float64       // a read is answered by a copy that lacks the last messages
	Delay   time.Duration // of a live message, at most; with it, they change their order
}

// Options is how a Store works. The zero value keeps everything and has no
// faults.
type Options struct {
	Seed        uint64
	Faults      Faults
	MaxPerTopic int           // messages kept for each topic; 0: all
	MaxAge      time.Duration // 0: no limit
}

// Store keeps the messages of all topics, in one sequence. Connect returns the
// Broker of one node.
type Store struct {
	options Options

	// Guarded by mu.
	mu     sync.Mutex
	random *rand.Rand
	down   bool
	lives  int // of the store so far
	stores int // times that what is stored was replaced
	life   life
	conns  []*Conn
	before map[cluster.Position][]cluster.Position

	traffic Traffic // guarded by mu too
}

// life is what a restart may keep or change.
type life struct {
	epoch  string
	last   uint64 // offset of the last message
	first  uint64 // nothing from here on was discarded for its age
	topics map[string][]cluster.Message
	ids    map[string]cluster.Position // by topic and id
	ends   map[string]cluster.Position // of topics, with messages that were discarded
}

// NewStore returns an empty store.
func NewStore(options Options) *Store {
	s := &Store{options: options, random: rand.New(rand.NewPCG(options.Seed, 1)), before: make(map[cluster.Position][]cluster.Position)}
	s.Wipe()
	return s
}

// Wipe loses everything and begins a new epoch.
func (s *Store) Wipe() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lives++
	s.stores++
	s.life = life{
		epoch:  "epoch-" + strconv.Itoa(s.lives),
		first:  1,
		topics: make(map[string][]cluster.Message),
		ids:    make(map[string]cluster.Position),
		ends:   make(map[string]cluster.Position),
	}
}

// Snapshot is what a store had at some time.
type Snapshot struct{ life life }

// Snapshot returns what the store has now.
func (s *Store) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Snapshot{s.life.clone()}
}

// Restore makes the store what it was, with the same epoch.
func (s *Store) Restore(old Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stores++
	s.life = old.life.clone()
}

func (l life) clone() life {
	topics := make(map[string][]cluster.Message)
	for name, messages := range l.topics {
		topics[name] = slices.Clone(messages)
	}
	l.topics, l.ids, l.ends = topics, maps.Clone(l.ids), maps.Clone(l.ends)
	return l
}

// Stop makes every request fail and loses what would be delivered. Every
// connection has a gap.
func (s *Store) Stop() {
	s.mu.Lock()
	s.down = true
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		c.gap()
	}
}

// Start ends Stop: a gap too, of what was sent meanwhile.
func (s *Store) Start() {
	s.mu.Lock()
	s.down = false
	conns := slices.Clone(s.conns)
	s.mu.Unlock()
	for _, c := range conns {
		c.gap()
	}
}

// Calm ends all faults but those of connections that are cut.
func (s *Store) Calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options.Faults = Faults{}
}

// Before returns the positions that the end of the topic had when the message at
// this one was stored; that of an empty topic has offset 0. It is one, unless a
// store that was restored gave one place twice.
func (s *Store) Before(at cluster.Position) []cluster.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.before[at]
}

// chance is true with probability p. Under mu.
func (s *Store) chance(p float64) bool { return p > 0 && s.random.Float64() < p }

// expire discards what is too old. Under mu.
func (s *Store) expire() {
	if s.options.MaxAge == 0 {
		return
	}
	oldest := time.Now().Add(-s.options.MaxAge)
	for name, messages := range s.life.topics {
		n := 0
		for n < len(messages) && messages[n].Time.Before(oldest) {
			s.life.first = max(s.life.first, messages[n].Offset+1)
			n++
		}
		s.life.topics[name] = messages[n:]
	}
}

// append stores a message. Under mu.
func (s *Store) append(topic, id string, data []byte) cluster.Message {
	messages := s.life.topics[topic]
	s.life.last += 1 + s.random.Uint64N(3) // other topics have messages too
	m := cluster.Message{Topic: topic, Epoch: s.life.epoch, Offset: s.life.last, ID: id, Time: time.Now(), Data: slices.Clone(data)}
	if n := len(messages); n > 0 {
		m.Prev = messages[n-1].Offset
	}
	end, ok := s.life.ends[topic]
	if !ok {
		end.Epoch = m.Epoch
	}
	s.before[m.Position()] = append(s.before[m.Position()], end)
	s.life.ends[topic] = m.Position()
	messages = append(messages, m)
	if limit := s.options.MaxPerTopic; limit > 0 && len(messages) > limit {
		messages = messages[1:]
	}
	s.life.topics[topic] = messages
	s.life.ids[topic+"\x00"+id] = m.Position()
	return m
}
