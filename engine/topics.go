package engine

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

const hubShards = 64

// hub is the topics of a Server: names here, subscribers with the fan of the
// loop that owns them.
type hub struct {
	dropped, conflated atomic.Uint64 // messages to slow subscribers

	// Immutable.
	compressor *compressor // nil: no compression
	fans       []*fan      // by loop
	seed       maphash.Seed
	shards     [hubShards]shard
}

// shard holds the topics whose names hash to it. Its lock is taken before that
// of a fan.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*topic
}

// topic exists while it has subscribers or settings.
type topic struct {
	name  string
	parts []*part     // one for each loop with subscribers; copied when it changes
	rules *topicRules // nil: none
}

func newHub(g *loop.Group, slow Slow, c *compressor) *hub {
	h := &hub{compressor: c, seed: maphash.MakeSeed()}
	for _, l := range g.Loops() {
		h.fans = append(h.fans, newFan(h, l, slow))
	}
	return h
}

func (h *hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%hubShards]
}

// Subscribe makes the connection receive what is published to topic from now
// on. Subscribing twice is no error. Any goroutine; ErrClosed after the end.
func (ws *WebSocket) Subscribe(topic string) error {
	h := ws.settings().hub
	if h == nil {
		return ErrNoTopics
	}
	m := ws.memberOf(h)
	if m == nil {
		return ErrClosed
	}
	return h.subscribe(m, topic)
}

func (h *hub) subscribe(m *member, topic string) error {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	if m.gone {
		return ErrClosed
	}
	if m.find(topic) == nil {
		m.fan.join(m, sh.part(topic, m.fan))
	}
	return nil
}

// Unsubscribe undoes Subscribe. What was published before is still delivered, and
// OnGap called for what was dropped, before what is behind it. Without a
// subscription it does nothing. Any goroutine.
func (ws *WebSocket) Unsubscribe(topic string) error {
	h := ws.settings().hub
	if h == nil {
		return ErrNoTopics
	}
	if m := ws.member.Load(); m != nil {
		h.unsubscribe(m, topic)
	}
	return nil
}

func (h *hub) unsubscribe(m *member, topic string) {
	sh := h.shard(topic)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	if s := m.find(topic); s != nil {
		m.fan.catchUp(m)
		if s.missed() > 0 {
			m.fan.markSlow(m) // OnGap is to be called
		}
		m.fan.leave(s)
		sh.prune(s.part)
	}
}

// memberOf returns the member of ws, made if need be; nil if ws is not open.
func (ws *WebSocket) memberOf(h *hub) *member {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.isOpen() {
		return nil
	}
	m := ws.member.Load()
	if m == nil {
		m = &member{ws: ws, fan: h.fans[ws.conn.Loop().Index()]}
		ws.member.Store(m)
	}
	return m
}

// part returns the part of the topic called name that f owns, made if need be.
// For a caller that holds the shard's and the fan's lock.
func (sh *shard) part(name string, f *fan) *part {
	t := sh.topic(name)
	for _, p := range t.parts {
		if p.fan == f {
			return p
		}
	}
	p := &part{fan: f, topic: t, rules: t.rules}
	t.parts = append(t.parts[:len(t.parts):len(t.parts)], p)
	return p
}

// topic returns the topic called name, made if need be. For a caller that holds
// the shard's lock.
func (sh *shard) topic(name string) *topic {
	t := sh.topics[name]
	if t == nil {
		if sh.topics == nil {
			sh.topics = make(map[string]*topic)
		}
		t = &topic{name: name}
		sh.topics[name] = t
	}
	return t
}

// prune removes p if it has no subscribers left, and its topic if that was the last
// part. Both may have been removed before, and the name belong to another topic
// now. For a caller that holds the shard's and the fan's lock.
func (sh *shard) prune(p *part) {
	t := p.topic
	if len(p.subs) > 0 || p.count > 0 || sh.topics[t.name] != t {
		return
	}
	parts := make([]*part, 0, len(t.parts))
	for _, q := range t.parts {
		if q != p {
			parts = append(parts, q)
		}
	}
	t.parts = parts
	sh.forget(t)
}

// forget deletes t if it has neither subscribers nor settings. For a caller that
// holds the shard's lock.
func (sh *shard) forget(t *topic) {
	if len(t.parts) == 0 && t.rules == nil {
		delete(sh.topics, t.name)
	}
}

// retire ends what a connection that is closing has of its topics: it gets
// nothing more, is not counted, and may not subscribe. What waits for it is
// discarded. Any goroutine that holds no lock.
func (m *member) retire() {
	m.fan.mu.Lock()
	defer m.fan.mu.Unlock()
	m.fan.retire(m)
	m.discard()
}

// leaveAll ends every subscription of a connection that is closed. Any goroutine
// that holds no lock.
func (m *member) leaveAll() {
	m.retire()
	m.fan.mu.Lock()
	names := make([]string, 0, len(m.subs))
	for _, s := range m.subs {
		names = append(names, s.part.topic.name)
	}
	m.fan.mu.Unlock()
	for _, name := range names {
		sh := m.fan.hub.shard(name)
		sh.mu.Lock()
		m.fan.mu.Lock()
		if s := m.find(name); s != nil {
			m.fan.leave(s)
			sh.prune(s.part)
		}
		m.fan.mu.Unlock()
		sh.mu.Unlock()
	}
}
