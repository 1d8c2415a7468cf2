package engine

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

const hubShards = 64

// hub is the topics of a Server: names here, subscribers with the fan of the
// loop that owns them.
type hub struct {
	dropped, conflated atomic.Uint64 // messages to slow subscribers

	// Immutable.
	compressor   *frames.Compressor // nil: no compression
	fans         []*fan             // by loop
	seed         maphash.Seed
	maxRetained  int                                     // bytes in one topic; 0: no limit
	maySubscribe func(ws *WebSocket, topic string) error // nil: everyone may

	shards [hubShards]shard
}

// shard holds the topics whose names hash to it. Its lock is taken before that
// of a fan.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*topic
}

// topic exists while it has subscribers, settings or retained messages.
type topic struct {
	name string // immutable

	// Written under the shard's lock, read by anyone.
	parts     atomic.Pointer[[]*part] // one for each loop with subscribers; copied when it changes
	forgotten atomic.Bool             // it exists no more: the name may belong to another one

	// Guarded by the shard's lock.
	rules    *topicRules // nil: none
	retained *retained   // nil: none
}

func newHub(g *loop.Group, slow Slow, c *frames.Compressor) *hub {
	h := &hub{compressor: c, seed: maphash.MakeSeed()}
	for _, l := range g.Loops() {
		h.fans = append(h.fans, newFan(h, l, slow))
	}
	return h
}

func (h *hub) hash(name string) uint64 { return maphash.String(h.seed, name) }

func (h *hub) shard(name string) *shard { return &h.shards[h.hash(name)%hubShards] }

// Subscribe makes the connection receive what is published to topic from now on.
// The retained messages of the topic are delivered first, then every publish that is
// later than those, none twice and none missing. Subscribing twice is no error, and
// delivers nothing again.
//
// It returns the error of Server.MaySubscribe; ErrClosed after the end;
// ErrBackpressure if the topic has retained messages and the connection's queue no
// room for them: subscribe again in OnDrain. Any goroutine.
func (ws *WebSocket) Subscribe(topic string) error {
	h := ws.settings().hub
	if h == nil {
		return ErrNoTopics
	}
	if err := h.callMaySubscribe(ws, topic); err != nil {
		return err
	}
	m := ws.memberOf(h)
	if m == nil {
		return ErrClosed
	}
	h.packRetained(ws, topic)
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
	if m.find(topic) != nil {
		return nil
	}
	var kept []*message
	if t := sh.topics[topic]; t != nil && t.retained != nil {
		kept = t.retained.list()
		if err := m.fan.admitRetained(m, kept); err != nil {
			return err
		}
	}
	s := m.fan.join(m, sh.part(topic, m.fan))
	if len(kept) > 0 {
		m.fan.deliverRetained(s, kept)
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
	if !ws.out.IsOpen() {
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
	parts := *t.parts.Load()
	for _, p := range parts {
		if p.fan == f {
			return p
		}
	}
	p := &part{fan: f, topic: t, rules: t.rules}
	parts = append(parts[:len(parts):len(parts)], p)
	t.parts.Store(&parts)
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
		t.parts.Store(&noParts)
		sh.topics[name] = t
	}
	return t
}

// noParts are those of a topic without subscribers.
var noParts []*part

// prune removes p if it has no subscribers left, and its topic if that was the last
// part. Both may have been removed before, and the name belong to another topic
// now. For a caller that holds the shard's and the fan's lock.
func (sh *shard) prune(p *part) {
	t := p.topic
	if len(p.subs) > 0 || p.count > 0 || sh.topics[t.name] != t {
		return
	}
	old := *t.parts.Load()
	parts := make([]*part, 0, len(old))
	for _, q := range old {
		if q != p {
			parts = append(parts, q)
		}
	}
	t.parts.Store(&parts)
	sh.forget(t)
}

// forget deletes t if it has neither subscribers, settings nor retained messages. For
// a caller that holds the shard's lock.
func (sh *shard) forget(t *topic) {
	if len(*t.parts.Load()) == 0 && t.rules == nil && t.retained == nil {
		t.forgotten.Store(true)
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
