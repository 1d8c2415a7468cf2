package engine

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

// ErrNoTopics is returned to connections made by Dial: topics belong to a
// Server.
var ErrNoTopics = errors.New("engine: a dialed connection has no topics; subscribe on the server's side")

// Delivery says what became of one publish. The counts are those of the moment
// of the publish, when every subscriber falls under exactly one of them.
type Delivery struct {
	// Queued: the message is written or queued, and no other was dropped for it.
	Queued int
	// Dropped: the subscriber loses a message by this publish: this one, or, with
	// SlowDropOldest, the oldest ones that wait, whose place this one takes. OnGap
	// reports the loss to it.
	Dropped int
	// Conflated: the message replaces an older one of the same key, which this
	// subscriber will not get.
	Conflated int
	// Closed: the subscriber is slow, and its connection is closed for it.
	Closed int
}

// Subscribers is the number of subscribers the message was meant for.
func (d Delivery) Subscribers() int { return d.Queued + d.Dropped + d.Conflated + d.Closed }

const hubShards = 64

// hub is the topics of a Server: names here, subscribers with the fan of the
// loop that owns them.
type hub struct {
	dropped, conflated, closed atomic.Uint64 // messages to slow subscribers, and subscribers

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
	h := ws.endpoint.hub
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
	h := ws.endpoint.hub
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

// prune forgets p, and its topic, if nobody is left; what is forgotten already
// may have a successor of the same name. For a caller that holds the shard's and
// the fan's lock.
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

// Publish sends one message to every subscriber of topic. It never blocks, and
// encodes the message once, however many they are; p is free when it returns. A
// topic without subscribers costs a look-up. Any goroutine.
//
// What one goroutine publishes reaches every subscriber in that order, whatever
// the topics, and keeps its order with what it sends to a connection. Only where
// messages wait until OnGap has returned, a direct send goes before them.
//
// The error is ErrBackpressure if a loop is behind by more than Slow.Limit in
// this topic, and from then on until it goes on with the topic: the subscribers
// it owns do not get the message, and are counted as Dropped. ErrNotData if op is
// neither Text nor Binary.
func (s *Server) Publish(topic string, op OpCode, p []byte) (Delivery, error) {
	return s.publish(publish{topic: topic, op: op, payload: p})
}

// PublishKeyed is Publish of a message that replaces earlier ones of the same
// key: for a slow subscriber whose policy is SlowConflate, only the latest
// message of each key is kept. For presence, prices, cursors.
func (s *Server) PublishKeyed(topic, key string, op OpCode, p []byte) (Delivery, error) {
	return s.publish(publish{topic: topic, op: op, payload: p, key: key, keyed: true})
}

// Publish is Server.Publish to all but this connection, which need not be
// subscribed itself.
func (ws *WebSocket) Publish(topic string, op OpCode, p []byte) (Delivery, error) {
	return ws.publish(publish{topic: topic, op: op, payload: p})
}

// PublishKeyed is Server.PublishKeyed to all but this connection, which need not
// be subscribed itself.
func (ws *WebSocket) PublishKeyed(topic, key string, op OpCode, p []byte) (Delivery, error) {
	return ws.publish(publish{topic: topic, op: op, payload: p, key: key, keyed: true})
}

// publish is one message on its way to a topic.
type publish struct {
	topic   string
	op      OpCode
	payload []byte
	key     string
	keyed   bool
	from    *WebSocket // gets nothing; nil: everyone does
}

func (s *Server) publish(pub publish) (Delivery, error) {
	if !pub.op.IsData() {
		return Delivery{}, ErrNotData
	}
	if !s.up.Load() {
		return Delivery{}, nil // nobody subscribes yet
	}
	return s.endpoint.hub.publish(pub)
}

func (ws *WebSocket) publish(pub publish) (Delivery, error) {
	if ws.endpoint.hub == nil {
		return Delivery{}, ErrNoTopics
	}
	pub.from = ws
	return ws.endpoint.hub.publish(pub)
}

func (h *hub) publish(pub publish) (d Delivery, err error) {
	if !pub.op.IsData() {
		return d, ErrNotData
	}
	sh := h.shard(pub.topic)
	sh.mu.RLock()
	var parts []*part
	if t := sh.topics[pub.topic]; t != nil {
		parts = t.parts
	}
	sh.mu.RUnlock()
	if len(parts) == 0 {
		return d, nil
	}
	msg := message{frames: newFrames(pub.op, pub.payload, len(pub.key)), key: pub.key, keyed: pub.keyed}
	msg.frames.packAhead(h.compressor)
	for _, p := range parts {
		if perr := p.fan.publish(p, msg, pub.from, &d); perr != nil {
			err = perr
		}
	}
	return d, err
}
