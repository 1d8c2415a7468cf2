package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
)

// fanKey tells one message.
type fanKey struct {
	direct         bool
	worker, number int
}

func (g fanGot) key() fanKey { return fanKey{g.kind == "S", g.worker, g.number} }

// check compares what everyone received with what was called.
func (m *fanModel) check() {
	for _, p := range m.peers {
		p.mu.Lock()
		m.checkOrder(p)
		m.checkDeliveries(p)
		m.checkGaps(p)
		p.mu.Unlock()
	}
	for _, pub := range m.pubs {
		m.checkCounts(&pub)
	}
}

// checkOrder: what a worker published comes in order, whatever the topics (F-j),
// and so does what it sent among what it published, gaps aside.
func (m *fanModel) checkOrder(p *fanPeer) {
	var published, sent, seen [fanWorkers]int // the highest numbers
	seenAll := make(map[fanKey]bool)
	for w := range seen {
		published[w], sent[w], seen[w] = -1, -1, -1
	}
	for _, g := range p.got {
		if g.kind == "G" {
			continue
		}
		w, direct := g.worker, g.kind == "S"
		switch {
		case seenAll[g.key()]:
			m.t.Errorf("%s received %+v twice", p.name, g)
		case !direct && g.number < published[w]:
			m.t.Errorf("%s received %+v after number %d\n%s", p.name, g, published[w], m.history(p, w, g.number, published[w]))
		case direct && g.number < sent[w]:
			m.t.Errorf("%s received %+v after the send number %d", p.name, g, sent[w])
		case len(p.gaps) > 0: // what is sent may go before what waits behind a gap
		case g.number < seen[w]:
			m.t.Errorf("%s received %+v after number %d", p.name, g, seen[w])
		}
		seenAll[g.key()] = true
		if direct {
			sent[w] = g.number
		} else {
			published[w] = g.number
		}
		seen[w] = max(seen[w], g.number)
	}
}

// whole says whether everything that was meant for p had to reach it.
func (p *fanPeer) whole() bool { return !p.dropped.Load() && !p.cut.Load() }

// checkDeliveries: everything that p was subscribed to while it was published, or
// OnGap called for it, and nothing else.
func (m *fanModel) checkDeliveries(p *fanPeer) {
	got := make(map[fanKey]bool)
	fromTopic := make(map[string]int)
	for _, g := range p.got {
		if g.kind == "G" {
			continue
		}
		got[g.key()] = true
		if g.kind != "S" {
			fromTopic[g.topic]++
		}
	}
	must, may := make(map[string]int), make(map[string]int)
	for i := range m.pubs {
		pub := &m.pubs[i]
		key := fanKey{worker: pub.worker, number: pub.number}
		surely, perhaps := p.expects(pub)
		if got[key] && !perhaps {
			m.t.Errorf("%s received %+v, which was not meant for it", p.name, *pub)
		}
		delete(got, key)
		if surely {
			must[pub.topic]++
		}
		if perhaps {
			may[pub.topic]++
		}
	}
	for _, s := range m.sends {
		key := fanKey{true, s.worker, s.number}
		if s.to != p {
			continue
		}
		if !got[key] && s.err == nil && p.whole() {
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
	for topic := range may {
		n := fromTopic[topic] + p.gaps[topic]
		if p.whole() && (n < must[topic] && p.policy != engine.SlowConflate || n > may[topic]) {
			m.t.Errorf("%s got %d messages and gaps of %d in %s, want %d to %d together",
				p.name, fromTopic[topic], p.gaps[topic], topic, must[topic], may[topic])
		}
	}
	if p.policy == engine.SlowConflate && p.whole() {
		m.checkLatest(p)
	}
}

// checkLatest: a subscriber that conflates gets the latest message of each key, as
// far as OnGap was not called.
func (m *fanModel) checkLatest(p *fanPeer) {
	type key struct {
		topic  string
		worker int
	}
	latest := make(map[key]int)
	for i := range m.pubs {
		pub := &m.pubs[i]
		if surely, _ := p.expects(pub); surely && pub.keyed {
			k := key{pub.topic, pub.worker}
			latest[k] = max(latest[k], pub.number)
		}
	}
	for _, g := range p.got {
		if k := (key{g.topic, g.worker}); g.kind == "K" && g.number >= latest[k] {
			delete(latest, k)
		}
	}
	for k, number := range latest {
		if p.gaps[k.topic] == 0 {
			m.t.Errorf("%s has not got the latest message of key %d in %s, number %d", p.name, k.worker, k.topic, number)
		}
	}
}

// checkGaps: when a message arrives, OnGap has been called for all that are missing
// before it (R-e). Of what a conflating subscriber gets, only messages without key
// are surely missing if they do not come.
func (m *fanModel) checkGaps(p *fanPeer) {
	if p.tainted.Load() {
		return
	}
	got := make(map[fanKey]bool)
	for _, g := range p.got {
		got[g.key()] = true
	}
	missing := make(map[string]*[fanWorkers][]int) // by topic: what does not come, in order
	for i := range m.pubs {
		pub := &m.pubs[i]
		surely, _ := p.expects(pub)
		if !surely || got[fanKey{false, pub.worker, pub.number}] || pub.keyed && p.policy == engine.SlowConflate {
			continue
		}
		if missing[pub.topic] == nil {
			missing[pub.topic] = new([fanWorkers][]int)
		}
		of := &missing[pub.topic][pub.worker]
		*of = append(*of, pub.number)
	}
	for _, byWorker := range missing {
		for _, numbers := range byWorker {
			slices.Sort(numbers)
		}
	}
	lost, reported := make(map[string]int), make(map[string]int)
	for _, g := range p.got {
		switch {
		case g.kind == "G":
			reported[g.topic] += g.number
		case g.kind != "S" && missing[g.topic] != nil:
			of := &missing[g.topic][g.worker]
			n, _ := slices.BinarySearch(*of, g.number)
			*of, lost[g.topic] = (*of)[n:], lost[g.topic]+n
			if lost[g.topic] > reported[g.topic] {
				m.t.Errorf("%s received %+v behind %d lost messages of its topic, of which %d were reported\n%s",
					p.name, g, lost[g.topic], reported[g.topic], m.history(p, g.worker, g.number-20, g.number))
				return
			}
		}
	}
}

// expects says whether p surely, or perhaps, is to get pub.
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
		if s.subRet < pub.call && pub.ret < s.endCall && pub.ret < p.closeCall.Load() {
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
			if s.subRet < pub.call && pub.ret < min(s.endCall, p.closeCall.Load()) && !p.cut.Load() {
				low++
			}
			if s.subCall < pub.ret && pub.call < min(s.endRet, p.ended.Load()) {
				high++
			}
		}
	}
	if n := pub.d.Subscribers(); n < low || n > high {
		m.t.Errorf("%+v counts %d subscribers, there were %d to %d", *pub, n, low, high)
		for _, p := range m.peers {
			if surely, _ := p.expects(pub); surely && !p.cut.Load() {
				m.t.Log(p.fate())
			}
		}
	}
	if pub.err != nil && !errors.Is(pub.err, engine.ErrBackpressure) && !m.down.Load() {
		m.t.Errorf("%+v", *pub)
	}
}

// fate tells how the life of p went.
func (p *fanPeer) fate() string {
	return fmt.Sprintf("%s: closed at %d, ended at %d by %v, %v; dropped %v, cut %v; spans %+v; gaps %v",
		p.name, p.closeCall.Load(), p.ended.Load(), p.ws.Cause(), p.ws.Err(), p.dropped.Load(), p.cut.Load(), p.spans, p.gaps)
}

// history tells what is known of the publishes of a worker, numbered between from and
// to, and of p, which received some of them.
func (m *fanModel) history(p *fanPeer, worker, from, to int) string {
	var all strings.Builder
	all.WriteString(p.fate())
	for _, pub := range m.pubs {
		if surely, perhaps := p.expects(&pub); pub.worker == worker && pub.number >= from && pub.number <= to && perhaps {
			fmt.Fprintf(&all, "\n\t%+v surely %v", pub, surely)
		}
	}
	for i, g := range p.got {
		if i+20 >= len(p.got) || g.worker == worker && g.number >= from && g.number <= to {
			fmt.Fprintf(&all, "\n\treceived %d of %d: %+v", i, len(p.got), g)
		}
	}
	return all.String()
}
