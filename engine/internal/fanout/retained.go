package fanout

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

// ErrNoRoom is returned for a message that would be retained.
var ErrNoRoom = errors.New("fanout: no room to retain the message")

// PublishRetained is PublishTo of a message that the topic called name keeps, or, if it is
// empty, that removes one. No subscription begins meanwhile: it finds the message either
// kept or to come. ErrNoRoom: no subscriber gets it.
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
	return h.PublishTo(t, msg, from)
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
	k.home, k.copied = h.home(), k.Frames.MayPack(h.compressor)
	t.retained.set(k)
	h.countRetained(&k, 1)
	return nil
}

// hasRoom reports whether t may retain k in the place of old, which may be none: by its own
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
		cost <= budget/retainedPart && h.retained+h.copies()+more <= budget*len(h.fans)/retainedPart
}

// copies is what the compressed copies of retained messages take.
func (h *Hub) copies() (n int) {
	for _, f := range h.fans {
		n += int(f.copies.cost.Load())
	}
	return n
}

// copies counts the compressed copies of the retained messages of one home, which is where
// they are in the ledger. Any goroutine.
type copies struct {
	loop *loop.Loop   // immutable
	cost atomic.Int64 // of all
}

// Refer implements frames.Keeper.
func (c *copies) Refer(copy *loop.Shared) {
	c.cost.Add(int64(copy.Cost()))
	c.loop.Refer(copy)
}

// Forget implements frames.Keeper.
func (c *copies) Forget(copy *loop.Shared) {
	c.cost.Add(int64(-copy.Cost()))
	c.loop.Forget(copy)
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
	switch {
	case !k.copied:
	case n > 0:
		k.Frames.Keep(&f.copies)
	default:
		k.Frames.Drop(&f.copies)
	}
}

// countCopies has the compressed copies of what the topic called name retains counted.
func (h *Hub) countCopies(name string) {
	sh := h.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	t := sh.topics[name]
	if t == nil || t.retained == nil {
		return
	}
	h.retaining.Lock()
	defer h.retaining.Unlock()
	for i := range t.retained.msgs {
		if k := &t.retained.msgs[i]; k.uncounted(h.compressor) {
			h.countRetained(k, -1)
			k.copied = true
			h.countRetained(k, 1)
		}
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
