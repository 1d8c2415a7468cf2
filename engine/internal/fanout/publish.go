package fanout

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/loop"
)

// Delivery is engine.Delivery.
type Delivery struct{ Queued, Dropped, Conflated, Closed int }

// PublishTo publishes msg, which t does not keep, to all subscribers of t but the Member
// that from holds. from may be nil, and its Member may be made meanwhile.
func (h *Hub) PublishTo(t *Topic, msg Message, from *atomic.Pointer[Member]) (d Delivery, err error) {
	msg.Frames.PackAhead(h.compressor)
	for _, p := range *t.parts.Load() {
		if perr := p.fan.publish(p, msg, from, &d); perr != nil {
			err = perr
		}
	}
	return d, err
}

// publish appends msg to p, posts a flush, and counts in d what becomes of msg.
func (f *fan) publish(p *part, msg Message, from *atomic.Pointer[Member], d *Delivery) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.count == 0 {
		return nil
	}
	queued := p.count
	var sender *subscription
	if from != nil { // looked up under the lock: it may be subscribing for the first time
		sender = f.subscriptionOf(from.Load(), p)
	}
	if sender != nil && !sender.member.closing() {
		queued--
	}
	if f.refuses(p, &msg) {
		d.Dropped += queued
		f.hub.dropped.Add(uint64(queued))
		p.refuse(sender, &msg)
		f.hasten(p)
		return loop.ErrBackpressure
	}
	if sender != nil { // what is published before this one is for the sender too
		f.catchUp(sender.member)
	}
	f.number++
	msg.number = f.number
	if sender != nil {
		sender.member.skip(msg.number)
	}
	for _, s := range p.slow {
		if s != sender && !s.member.closing() {
			queued--
			f.decide(s, msg, d)
		}
	}
	d.Queued += queued
	f.append(p, msg)
	return nil
}

// subscriptionOf returns that of m, which may be nil, to p; nil if there is none. Under the
// fan's lock.
func (f *fan) subscriptionOf(m *Member, p *part) *subscription {
	if m == nil || m.fan() != f {
		return nil
	}
	return m.find(p.topic.name)
}

// skip notes that m needs no message up to number.
func (m *Member) skip(number uint64) {
	m.conn.Lock()
	defer m.conn.Unlock()
	m.seq = number
}
