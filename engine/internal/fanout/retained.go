package fanout

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// ErrNoRoom is returned for a message that would be retained.
var ErrNoRoom = errors.New("fanout: no room to retain the message")

// retained is the last values of a topic: for each key the message that was
// published last with Retain, the oldest first. Guarded by the shard's lock.
type retained struct {
	msgs   []kept         // without frames: replaced or removed
	keys   map[string]int // index in msgs, for each key; there is one
	weight int            // of all, as limits count it
}

// kept is a message that is retained.
type kept struct {
	Message
	home *fan // in whose loop's ledger it is
}

const (
	// retainedPart is the part of the memory budget that retained messages may have.
	retainedPart = 4
	// retainedSize is what a retained message takes besides its frame and its key, about.
	retainedSize = 2*int(unsafe.Sizeof(kept{})) + keySize
)

// own is what k takes in the ledger besides its frame.
func (k *kept) own() int { return retainedSize + k.ownKey() }

// cost is what k takes in the ledger; nothing if it has no frames.
func (k *kept) cost() int {
	if k.Frames == nil {
		return 0
	}
	return k.own() + k.Frames.Plain().Cost()
}

// set makes msg the value of its key.
func (r *retained) set(msg kept) {
	if len(r.msgs) > 2*len(r.keys)+indexFrom {
		r.compact()
	}
	r.keys[msg.Key] = len(r.msgs)
	r.msgs = append(r.msgs, msg)
	r.weight += msg.weight()
}

// value returns that of key; without frames if there is none.
func (r *retained) value(key string) kept {
	if r != nil {
		if i, ok := r.keys[key]; ok {
			return r.msgs[i]
		}
	}
	return kept{}
}

// remove removes the value of key, which there is.
func (r *retained) remove(key string) {
	i := r.keys[key]
	r.weight -= r.msgs[i].weight()
	r.msgs[i] = kept{}
	delete(r.keys, key)
}

// compact forgets where replaced messages were.
func (r *retained) compact() {
	msgs := make([]kept, 0, 2*len(r.keys))
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
			list = append(list, &r.msgs[i].Message)
		}
	}
	return list
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
	h.retaining.Lock()
	defer h.retaining.Unlock()
	k, old := kept{Message: msg}, t.retained.value(msg.Key)
	k.Tag = nil
	if !h.hasRoom(t, &k, &old) {
		return ErrNoRoom
	}
	h.removeRetained(t, &old)
	if t.retained == nil {
		t.retained = &retained{keys: make(map[string]int)}
	}
	k.home = h.home()
	t.retained.set(k)
	h.countRetained(&k, 1)
	return nil
}

// hasRoom says whether t may retain k in the place of old, which may be none: by its own
// limit, and by the budget. There is always room for less than before.
func (h *Hub) hasRoom(t *Topic, k, old *kept) bool {
	weight := k.weight()
	if t.retained != nil {
		weight += t.retained.weight
	}
	if old.Frames != nil {
		weight -= old.weight()
	}
	if h.maxRetained > 0 && weight > h.maxRetained && (old.Frames == nil || k.weight() > old.weight()) {
		return false
	}
	cost, more := k.cost(), k.cost()-old.cost()
	budget := h.fans[0].loop.Budget() // of each
	return budget == 0 || more <= 0 ||
		cost <= budget/retainedPart && h.retained+more <= budget*len(h.fans)/retainedPart
}

// home is where the next retained message goes into the ledger: the loop with the least
// of them. So all have the same part, whatever the topics.
func (h *Hub) home() *fan {
	return slices.MinFunc(h.fans, func(a, b *fan) int { return cmp.Compare(a.retained, b.retained) })
}

// unretain removes the value of key from t, if there is one. Under the shard's lock.
func (h *Hub) unretain(t *Topic, key string) {
	h.retaining.Lock()
	defer h.retaining.Unlock()
	old := t.retained.value(key)
	h.removeRetained(t, &old)
}

// removeRetained removes old from t, unless it is none.
func (h *Hub) removeRetained(t *Topic, old *kept) {
	if old.Frames == nil {
		return
	}
	h.countRetained(old, -1)
	if t.retained.remove(old.Key); len(t.retained.keys) == 0 {
		t.retained = nil
	}
}

// countRetained puts k into the ledger of its home, or takes it out: n is 1 or -1.
func (h *Hub) countRetained(k *kept, n int) {
	f := k.home
	h.retained += n * k.cost()
	f.retained += n * k.cost()
	f.loop.Hold(loop.UseMessages, n*k.own())
	if n > 0 {
		f.loop.Refer(k.Frames.Plain())
	} else {
		f.loop.Forget(k.Frames.Plain())
	}
}

// Forget removes what the topic called name retains for key. Any goroutine.
func (h *Hub) Forget(name, key string) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if t := sh.topics[name]; t != nil {
		h.unretain(t, key)
		sh.forget(t)
	}
}

// ForgetAll removes all retained messages of the topic called name. Any goroutine.
func (h *Hub) ForgetAll(name string) {
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
	h.retaining.Lock()
	for i := range t.retained.msgs {
		if k := &t.retained.msgs[i]; k.Frames != nil {
			h.countRetained(k, -1)
		}
	}
	h.retaining.Unlock()
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
	var list []kept
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
	if len(list) == 0 {
		return nil
	}
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

// deliverRetained gives s the retained messages of its topic, which admitRetained has
// admitted. Where something waits already, they wait behind it. Under the shard's and the
// fan's lock.
func (f *fan) deliverRetained(s *subscription, list []*Message) {
	if len(list) == 0 {
		return
	}
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
