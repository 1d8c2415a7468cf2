package fanout

import (
	"errors"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// ErrNoRoom is returned for a message that would be retained.
var ErrNoRoom = errors.New("fanout: no room to retain the message")

// retained is the last values of a topic: for each key the message that was
// published last with Retain, the oldest first. Guarded by the shard's lock.
type retained struct {
	msgs   []Message      // without frames: replaced or removed
	keys   map[string]int // index in msgs, for each key; there is one
	weight int            // of all, as limits count it
}

const (
	// retainedPart is the part of a loop's memory budget that retained messages may have.
	retainedPart = 4
	// retainedSize is what a retained message takes besides its frame, about.
	retainedSize = 2*messageSize + keySize
)

// set makes msg the value of its key.
func (r *retained) set(msg Message) {
	if len(r.msgs) > 2*len(r.keys)+indexFrom {
		r.compact()
	}
	r.keys[msg.Key] = len(r.msgs)
	r.msgs = append(r.msgs, msg)
	r.weight += msg.weight()
}

// value returns that of key; without frames if there is none.
func (r *retained) value(key string) Message {
	if r != nil {
		if i, ok := r.keys[key]; ok {
			return r.msgs[i]
		}
	}
	return Message{}
}

// remove removes the value of key, which there is.
func (r *retained) remove(key string) {
	i := r.keys[key]
	r.weight -= r.msgs[i].weight()
	r.msgs[i] = Message{}
	delete(r.keys, key)
}

// compact forgets where replaced messages were.
func (r *retained) compact() {
	msgs := make([]Message, 0, 2*len(r.keys))
	for _, msg := range r.msgs {
		if msg.Frames != nil {
			r.keys[msg.Key] = len(msgs)
			msgs = append(msgs, msg)
		}
	}
	r.msgs = msgs
}

// list returns the messages in the order of their publishes.
func (r *retained) list() []*Message {
	list := make([]*Message, 0, len(r.keys))
	for i := range r.msgs {
		if r.msgs[i].Frames != nil {
			list = append(list, &r.msgs[i])
		}
	}
	return list
}

// home is the fan in whose loop's ledger the retained messages of the topic called
// name are.
func (h *Hub) home(name string) *fan {
	return h.fans[h.hash(name)/hubShards%uint64(len(h.fans))]
}

// PublishRetained is PublishTo of a message that the topic called name keeps, or, if it is
// empty, that removes one. No subscription begins meanwhile: it finds the message either
// kept or to come. ErrNoRoom: nobody gets it.
func (h *Hub) PublishRetained(name string, msg Message, empty bool, from *atomic.Pointer[Member]) (d Delivery, err error) {
	msg.Frames.PackAhead(h.compressor)
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.topic(name)
	defer sh.forget(t)
	if empty || sh.over {
		h.unretain(t, msg.Key)
	} else if err := h.retain(t, msg); err != nil {
		return d, err
	}
	return publishTo(*t.parts.Load(), msg, from)
}

// retain makes msg a last value of t, if there is room for it. Under the shard's
// lock.
func (h *Hub) retain(t *Topic, msg Message) error {
	more := msg.weight()
	if old := t.retained.value(msg.Key); old.Frames != nil {
		more -= old.weight()
	}
	if more > 0 && !h.admitsRetained(t, more) {
		return ErrNoRoom
	}
	h.unretain(t, msg.Key)
	if t.retained == nil {
		t.retained = &retained{keys: make(map[string]int)}
	}
	t.retained.set(msg)
	h.countRetained(t, &msg, 1)
	return nil
}

// admitsRetained says whether messages of weight more may be retained in t.
func (h *Hub) admitsRetained(t *Topic, more int) bool {
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
func (h *Hub) unretain(t *Topic, key string) {
	old := t.retained.value(key)
	if old.Frames == nil {
		return
	}
	h.countRetained(t, &old, -1)
	if t.retained.remove(key); len(t.retained.keys) == 0 {
		t.retained = nil
	}
}

// countRetained puts msg into the ledger as retained in t, or takes it out: n is 1 or
// -1.
func (h *Hub) countRetained(t *Topic, msg *Message, n int) {
	f := h.home(t.name)
	f.retained.Add(int64(n * msg.weight()))
	f.loop.Hold(loop.UseMessages, n*(retainedSize+msg.ownKey()))
	if n > 0 {
		f.loop.Refer(msg.Frames.Plain())
	} else {
		f.loop.Forget(msg.Frames.Plain())
	}
}

// ClearRetained removes all retained messages of the topic called name. Any goroutine.
func (h *Hub) ClearRetained(name string) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if t := sh.topics[name]; t != nil {
		h.clearRetained(sh, t)
	}
}

func (h *Hub) clearRetained(sh *shard, t *Topic) {
	if t.retained == nil {
		return
	}
	for _, msg := range t.retained.list() {
		h.countRetained(t, msg, -1)
	}
	t.retained = nil
	sh.forget(t)
}

// End removes all retained messages, and lets topics retain no others: the loops have
// ended, and no subscriber comes. Any goroutine.
func (h *Hub) End() {
	for i := range h.shards {
		sh := &h.shards[i]
		sh.mu.Lock()
		sh.over = true
		for _, t := range sh.topics {
			h.clearRetained(sh, t)
		}
		sh.mu.Unlock()
	}
}

// PackRetained compresses the retained messages of the topic called name as v has them,
// before any lock is held that others wait for.
func (h *Hub) PackRetained(name string, v frames.Variant) {
	if v == frames.Plain {
		return
	}
	sh := h.shard(name)
	sh.mu.RLock()
	var list []Message
	if t := sh.topics[name]; t != nil && t.retained != nil {
		list = append(list, t.retained.msgs...)
	}
	sh.mu.RUnlock()
	for _, msg := range list {
		if msg.Frames != nil {
			msg.Frames.In(v, h.compressor)
		}
	}
}

// admitRetained makes m, which is to get list, one that has everything published so
// far. It returns loop.ErrBackpressure if so much waits for m that list would exceed
// Limits.MaxQueued. Under the shard's and the fan's lock.
func (f *fan) admitRetained(m *Member, list []*Message) error {
	f.catchUp(m)
	m.conn.Lock()
	queued := m.conn.QueuedLocked()
	waits := m.out.Fragments != 0 || m.conn.BlockedLocked()
	m.conn.Unlock()
	if w := m.slow.Load(); w != nil {
		queued += w.weight
	}
	size := 0
	for _, msg := range list {
		size += msg.size()
	}
	limit := f.hub.conns.MaxQueued(m.conn)
	if queued > 0 && (limit > 0 && queued+size > limit || f.loop.Over()) {
		return loop.ErrBackpressure
	}
	if waits {
		f.markSlow(m)
	}
	return nil
}

// deliverRetained gives s, which has just joined, the retained messages of its topic.
// Where something waits already, they wait behind it. Under the shard's and the fan's
// lock.
func (f *fan) deliverRetained(s *subscription, list []*Message) {
	if w := s.member.slow.Load(); w != nil {
		for _, msg := range list {
			f.number++
			kept := *msg
			kept.number = f.number
			w.push(s.backlog, kept)
		}
		return
	}
	m := s.member
	var b batch
	b.fill(list, m.out.Variant, f.hub.compressor)
	m.conn.Lock()
	defer m.conn.Unlock()
	if !m.out.MayWrite() {
		return
	}
	if b.compressed {
		m.out.Overtaken = true
	}
	for _, frame := range b.frames {
		if m.conn.WriteSharedLocked(frame, true) != nil {
			return // it was closed meanwhile
		}
	}
	f.loop.CountOut(len(list))
}
