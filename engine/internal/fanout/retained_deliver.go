package fanout

import (
	"slices"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/loop"
)

// PackRetained compresses the retained messages of the topic called name as v has them,
// before any lock is held that others wait for.
func (h *Hub) PackRetained(name string, v frames.Variant) {
	if v == frames.Plain {
		return
	}
	list, uncounted := h.copyRetained(name)
	if uncounted {
		h.countCopies(name)
	}
	for _, msg := range list {
		if msg.Frames != nil {
			msg.Frames.In(v, h.compressor)
		}
	}
}

// copyRetained returns what the topic called name retains, and whether the compressed copies
// of some of it are not counted yet.
func (h *Hub) copyRetained(name string) (list []kept, uncounted bool) {
	sh := h.shard(name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	t := sh.topics[name]
	if t == nil || t.retained == nil {
		return nil, false
	}
	for _, k := range t.retained.msgs {
		uncounted = uncounted || k.uncounted(h.compressor)
	}
	return slices.Clone(t.retained.msgs), uncounted
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
	if w := m.waiting(); w != nil {
		queued += w.weight
	}
	size := 0
	for _, msg := range list {
		size += msg.Frames.Size()
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
	if w := s.member.waiting(); w != nil {
		for _, msg := range list {
			f.number++
			kept := *msg
			kept.number = f.number
			w.push(s.backlog(), kept)
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
