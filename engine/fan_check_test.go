package engine_test

import (
	"errors"
	"fmt"
	"slices"

	"github.com/fanloop-go/fanloop/engine"
)

// fanKey tells one message.
type fanKey struct {
	direct         bool
	worker, number int
}

// check compares what everyone received with what was called.
func (m *fanModel) check() {
	for _, p := range m.peers {
		p.mu.Lock()
		m.checkOrder(p)
		m.checkDeliveries(p)
		p.mu.Unlock()
	}
	for _, pub := range m.pubs {
		m.checkCounts(&pub)
	}
}

// checkOrder: what a worker published to one topic comes in order, and so does
// what it sent among what it published, gaps aside.
func (m *fanModel) checkOrder(p *fanPeer) {
	var last [fanWorkers]map[string]int // by topic
	var sent, seen [fanWorkers]int      // numbers of the last send, and the highest
	seenAll := make(map[fanKey]bool)
	for w := range last {
		last[w] = make(map[string]int)
		sent[w], seen[w] = -1, -1
	}
	for _, g := range p.got {
		w, key := g.worker, fanKey{g.direct, g.worker, g.number}
		switch {
		case seenAll[key]:
			m.t.Errorf("%s received %+v twice", p.name, g)
		case !g.direct && last[w][g.topic] > g.number:
			m.t.Errorf("%s received %+v after number %d", p.name, g, last[w][g.topic])
		case len(p.gaps) > 0: // what is sent may go before what waits behind a gap
		case p.slow && !g.direct && (p.left(g.topic) || p.closeCall.Load() != never): // which nobody tells who left or closed meanwhile
		case g.number < sent[w], g.direct && g.number < seen[w]:
			m.t.Errorf("%s received %+v after number %d, with the send number %d in between", p.name, g, seen[w], sent[w])
		}
		seenAll[key] = true
		if g.direct {
			sent[w] = g.number
		} else {
			last[w][g.topic] = g.number
		}
		seen[w] = max(seen[w], g.number)
	}
}

// left says whether p ever unsubscribed from topic.
func (p *fanPeer) left(topic string) bool {
	return slices.ContainsFunc(p.spans, func(s fanSpan) bool { return s.topic == topic && s.endCall != never })
}

// checkDeliveries: everything that p was subscribed to while it was published,
// and nothing else.
func (m *fanModel) checkDeliveries(p *fanPeer) {
	got := make(map[fanKey]bool)
	fromTopic := make(map[string]int)
	for _, g := range p.got {
		got[fanKey{g.direct, g.worker, g.number}] = true
		if !g.direct {
			fromTopic[g.topic]++
		}
	}
	must, may := make(map[string]int), make(map[string]int)
	lastKeyed := make(map[fanKey]int) // of each worker and topic, for a slow one that conflates
	for i := range m.pubs {
		pub := &m.pubs[i]
		key := fanKey{worker: pub.worker, number: pub.number}
		surely, perhaps := p.expects(pub)
		switch {
		case got[key] && !perhaps:
			m.t.Errorf("%s received %+v, which was not meant for it", p.name, *pub)
		case !got[key] && surely && !p.slow:
			m.t.Errorf("%s missed %+v", p.name, *pub)
		}
		delete(got, key)
		if surely {
			must[pub.topic]++
		}
		if perhaps {
			may[pub.topic]++
		}
		if surely && pub.keyed {
			var n int
			_, _ = fmt.Sscanf(pub.topic, "t%d", &n)
			lastKeyed[fanKey{worker: pub.worker, number: n}] = pub.number
		}
	}
	for _, s := range m.sends {
		key := fanKey{true, s.worker, s.number}
		if s.to != p {
			continue
		}
		if !got[key] && s.err == nil && !p.dropped.Load() {
			m.t.Errorf("%s missed the send %+v", p.name, s)
		}
		if got[key] && s.err != nil {
			m.t.Errorf("%s received what was refused: %+v", p.name, s)
		}
		delete(got, key)
	}
	if len(got) > 0 {
		m.t.Errorf("%s received what nobody sent it: %+v", p.name, got)
	}
	if !p.slow || !p.steady || p.closeCall.Load() != never {
		return
	}
	for topic := range may {
		n := fromTopic[topic] + p.gaps[topic]
		if p.policy != engine.SlowConflate && (n < must[topic] || n > may[topic]) {
			m.t.Errorf("%s got %d messages and gaps of %d in %s, want %d to %d together",
				p.name, fromTopic[topic], p.gaps[topic], topic, must[topic], may[topic])
		}
	}
	if p.policy == engine.SlowConflate {
		m.checkLatest(p, lastKeyed)
	}
}

// checkLatest: a subscriber that conflates has the latest message of each key.
func (m *fanModel) checkLatest(p *fanPeer, latest map[fanKey]int) {
	for _, g := range p.got {
		var n int
		_, _ = fmt.Sscanf(g.topic, "t%d", &n)
		if key := (fanKey{worker: g.worker, number: n}); g.keyed && g.number >= latest[key] {
			delete(latest, key)
		}
	}
	for key, number := range latest {
		if p.gaps[fmt.Sprint("t", key.number)] == 0 {
			m.t.Errorf("%s has not got the latest message of key %d in t%d, number %d", p.name, key.worker, key.number, number)
		}
	}
}

// expects says whether p surely, or perhaps, gets pub.
func (p *fanPeer) expects(pub *fanPub) (surely, perhaps bool) {
	if pub.from == p {
		return false, false
	}
	for _, s := range p.spans {
		if s.topic != pub.topic {
			continue
		}
		if s.subCall < pub.ret && pub.call < s.endRet {
			perhaps = true
		}
		if s.subRet < pub.call && pub.ret < s.endCall && pub.ret < p.closeCall.Load() &&
			pub.err == nil && !p.dropped.Load() {
			surely = true
		}
	}
	return surely, perhaps
}

// checkCounts: the counts of a publish are the subscribers of the moment.
func (m *fanModel) checkCounts(pub *fanPub) {
	low, high := 0, 0
	for _, p := range m.peers {
		if p == pub.from {
			continue
		}
		for _, s := range p.spans {
			if s.topic != pub.topic {
				continue
			}
			if s.subRet < pub.call && pub.ret < min(s.endCall, p.closeCall.Load()) {
				low++
			}
			if s.subCall < pub.ret && pub.call < min(s.endRet, p.ended.Load()) {
				high++
			}
		}
	}
	if n := pub.d.Subscribers(); n < low || n > high {
		m.t.Errorf("%+v counts %d subscribers, there were %d to %d", *pub, n, low, high)
	}
	if pub.err != nil && !errors.Is(pub.err, engine.ErrBackpressure) {
		m.t.Errorf("%+v", *pub)
	}
}
