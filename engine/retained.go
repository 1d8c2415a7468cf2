package engine

import (
	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// retained is the last values of a topic: for each key the message that was
// published last with Retain, the oldest first. Guarded by the shard's lock.
type retained struct {
	msgs   []message      // without frames: replaced or removed
	keys   map[string]int // index in msgs, for each key; there is one
	weight int            // of all, as limits count it
}

const (
	// defaultRetained is what Server.MaxRetained is by default.
	defaultRetained = 1 << 20
	// retainedPart is the part of a loop's memory budget that retained messages may have.
	retainedPart = 4
	// retainedSize is what a retained message takes besides its frame, about.
	retainedSize = 2*messageSize + keySize
)

// retainedLimit is MaxRetained with its default; 0: none.
func (s *Server) retainedLimit() int {
	n := s.MaxRetained
	setDefault(&n, defaultRetained)
	return max(n, 0)
}

// set makes msg the value of its key.
func (r *retained) set(msg message) {
	if len(r.msgs) > 2*len(r.keys)+indexFrom {
		r.compact()
	}
	r.keys[msg.key] = len(r.msgs)
	r.msgs = append(r.msgs, msg)
	r.weight += msg.weight()
}

// value returns that of key; without frames if there is none.
func (r *retained) value(key string) message {
	if r != nil {
		if i, ok := r.keys[key]; ok {
			return r.msgs[i]
		}
	}
	return message{}
}

// remove removes the value of key, which there is.
func (r *retained) remove(key string) {
	i := r.keys[key]
	r.weight -= r.msgs[i].weight()
	r.msgs[i] = message{}
	delete(r.keys, key)
}

// compact forgets where replaced messages were.
func (r *retained) compact() {
	msgs := make([]message, 0, 2*len(r.keys))
	for _, msg := range r.msgs {
		if msg.frames != nil {
			r.keys[msg.key] = len(msgs)
			msgs = append(msgs, msg)
		}
	}
	r.msgs = msgs
}

// list returns the messages in the order of their publishes.
func (r *retained) list() []*message {
	list := make([]*message, 0, len(r.keys))
	for i := range r.msgs {
		if r.msgs[i].frames != nil {
			list = append(list, &r.msgs[i])
		}
	}
	return list
}

// home is the fan in whose loop's ledger the retained messages of the topic called
// name are.
func (h *hub) home(name string) *fan {
	return h.fans[h.hash(name)/hubShards%uint64(len(h.fans))]
}

// publishRetained is publish of a message that the topic keeps, or that removes one.
// No subscription begins meanwhile: it finds the message either kept or to come.
func (h *hub) publishRetained(name string, m Message, from *WebSocket) (d Delivery, err error) {
	msg := m.encode()
	msg.frames.PackAhead(h.compressor)
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.topic(name)
	defer sh.forget(t)
	if m.empty() {
		h.unretain(t, m.Key)
	} else if err := h.retain(t, msg); err != nil {
		return d, err
	}
	return deliverTo(*t.parts.Load(), msg, from)
}

// retain makes msg a last value of t, if there is room for it. Under the shard's
// lock.
func (h *hub) retain(t *topic, msg message) error {
	more := msg.weight()
	if old := t.retained.value(msg.key); old.frames != nil {
		more -= old.weight()
	}
	if more > 0 && !h.admitsRetained(t, more) {
		return ErrRetained
	}
	h.unretain(t, msg.key)
	if t.retained == nil {
		t.retained = &retained{keys: make(map[string]int)}
	}
	t.retained.set(msg)
	h.countRetained(t, &msg, 1)
	return nil
}

// admitsRetained says whether messages of weight more may be retained in t.
func (h *hub) admitsRetained(t *topic, more int) bool {
	total := more
	if t.retained != nil {
		total += t.retained.weight
	}
	if h.maxRetained > 0 && total > h.maxRetained {
		return false
	}
	f := h.home(t.name)
	budget := f.loop.Budget()
	return budget == 0 || int(f.retained.Load())+more <= budget/retainedPart
}

// unretain removes the value of key from t, if there is one. Under the shard's lock.
func (h *hub) unretain(t *topic, key string) {
	old := t.retained.value(key)
	if old.frames == nil {
		return
	}
	h.countRetained(t, &old, -1)
	if t.retained.remove(key); len(t.retained.keys) == 0 {
		t.retained = nil
	}
}

// countRetained puts msg into the ledger as retained in t, or takes it out: n is 1 or
// -1.
func (h *hub) countRetained(t *topic, msg *message, n int) {
	f := h.home(t.name)
	f.retained.Add(int64(n * msg.weight()))
	f.loop.Hold(loop.UseMessages, n*(retainedSize+msg.ownKey()))
	if n > 0 {
		f.loop.Refer(msg.frames.Plain())
	} else {
		f.loop.Forget(msg.frames.Plain())
	}
}

// ClearRetained removes all retained messages of the topic. Its subscribers are not
// notified. To remove one, publish an empty retained message with its Key. Any
// goroutine.
func (t *Topic) ClearRetained() {
	if !t.server.up.Load() {
		return
	}
	h := t.server.settings.hub
	sh := h.shard(t.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	top := sh.topics[t.name]
	if top == nil || top.retained == nil {
		return
	}
	for _, msg := range top.retained.list() {
		h.countRetained(top, msg, -1)
	}
	top.retained = nil
	sh.forget(top)
}

// packRetained compresses the retained messages of the topic called name as ws has
// them, before any lock is held that others wait for.
func (h *hub) packRetained(ws *WebSocket, name string) {
	if ws.out.Variant == frames.Plain {
		return
	}
	sh := h.shard(name)
	sh.mu.RLock()
	var list []message
	if t := sh.topics[name]; t != nil && t.retained != nil {
		list = append(list, t.retained.msgs...)
	}
	sh.mu.RUnlock()
	for _, msg := range list {
		if msg.frames != nil {
			msg.frames.In(ws.out.Variant, h.compressor)
		}
	}
}

// admitRetained makes m, which is to get list, one that has everything published so
// far. It returns ErrBackpressure if so much waits for m that list would exceed
// Limits.MaxQueued. Under the shard's and the fan's lock.
func (f *fan) admitRetained(m *member, list []*message) error {
	f.catchUp(m)
	ws := m.ws
	ws.conn.Lock()
	queued := ws.conn.QueuedLocked()
	waits := ws.out.Fragments != 0 || ws.conn.BlockedLocked()
	ws.conn.Unlock()
	if w := m.slow.Load(); w != nil {
		queued += w.weight
	}
	size := 0
	for _, msg := range list {
		size += msg.size()
	}
	limit := ws.settings().policy.Limit
	if queued > 0 && (limit > 0 && queued+size > limit || f.loop.Over()) {
		return ErrBackpressure
	}
	if waits {
		f.markSlow(m)
	}
	return nil
}

// deliverRetained gives s, which has just joined, the retained messages of its topic.
// Where something waits already, they wait behind it. Under the shard's and the fan's
// lock.
func (f *fan) deliverRetained(s *subscription, list []*message) {
	if w := s.member.slow.Load(); w != nil {
		for _, msg := range list {
			f.number++
			kept := *msg
			kept.number = f.number
			w.push(s.backlog, kept)
		}
		return
	}
	ws := s.member.ws
	var b batch
	b.fill(list, ws.out.Variant, f.hub.compressor)
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if !ws.out.MayWrite() {
		return
	}
	if b.compressed {
		ws.out.Overtaken = true
	}
	for _, frame := range b.frames {
		if ws.conn.WriteSharedLocked(frame, true) != nil {
			return // it was closed meanwhile
		}
	}
	f.loop.CountOut(len(list))
}
