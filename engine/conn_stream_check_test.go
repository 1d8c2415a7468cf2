package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// settle lets every connection receive what is on its way.
func (m *streamModel) settle() {
	m.release(0)
	m.release(1)
	for _, p := range m.peers {
		p.setGate(true)
	}
	for _, p := range m.peers {
		if p.gone {
			within(m.t, "the end of "+p.name, p.ws.Done())
			continue
		}
		if p.open {
			eventually(m.t, "the fragment ends "+p.name, func() bool { m.fragment(p, true); return !p.open || p.ws.Err() != nil })
		}
	}
	eventually(m.t, "nobody is slow", func() bool { _, _, _, slow := engine.HubLeft(m.srv); return slow == 0 })
	for _, p := range m.peers {
		if p.gone {
			continue
		}
		eventually(m.t, "empty "+p.name, func() bool { return p.ws.Buffered() == 0 })
		flushed(m.t, p.ws)
		flushed(m.t, p.ws)
		if err := p.ws.SendText("end"); err != nil {
			m.t.Fatal(p.name, err)
		}
		eventually(m.t, "the last message", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.ends })
	}
	eventually(m.t, "nothing is queued", func() bool { return m.srv.Stats().QueuedBytes == 0 })
	eventually(m.t, "nothing is held", func() bool { return heldBy(m.srv) == 0 })
}

// check compares what everyone received with what was called. strict: and where
// gaps were told.
func (m *streamModel) check(strict bool) {
	for _, p := range m.peers {
		if p.gone {
			continue
		}
		p.mu.Lock()
		got := map[string][]int{}
		last, lastAny, lastSend := map[string]int{}, 0, 0
		gap := map[string]int{} // told since the last one of the topic
		totalGaps := 0
		for _, n := range p.gaps {
			totalGaps += n
		}
		sends := []int{}
		next := map[string]int{} // index in meant
		for _, text := range p.got {
			var kind, topic string
			var number int
			fmt.Sscan(text, &kind, &number, &topic)
			if kind == "G" {
				gap[topic] += number
				continue
			}
			if kind == "S" {
				sends = append(sends, number)
				if totalGaps == 0 && number < lastAny {
					m.t.Errorf("%s: send %d after %d", p.name, number, lastAny)
				}
				lastSend = max(lastSend, number)
				lastAny = max(lastAny, number)
				continue
			}
			if last[topic] >= number {
				m.t.Errorf("%s: %d after %d in %s", p.name, number, last[topic], topic)
			}
			if totalGaps == 0 && number < lastSend {
				m.t.Errorf("%s: publish %d after send %d", p.name, number, lastSend)
			}
			jump := 0
			for next[topic] < len(p.meant[topic]) && p.meant[topic][next[topic]] < number {
				jump++
				next[topic]++
			}
			if next[topic] < len(p.meant[topic]) && p.meant[topic][next[topic]] == number {
				next[topic]++
			} else {
				m.t.Errorf("%s: got %d in %s, not meant", p.name, number, topic)
			}
			if strict && !p.tainted && !p.left[topic] && p.policy != engine.SlowConflate && jump > gap[topic] {
				m.t.Errorf("%s: %d lost in %s before %d, told %d", p.name, jump, topic, number, gap[topic])
			}
			gap[topic] -= jump
			last[topic], lastAny = number, max(lastAny, number)
			got[topic] = append(got[topic], number)
		}
		if fmt.Sprint(sends) != fmt.Sprint(append([]int{}, p.sends...)) {
			m.t.Errorf("%s: sends %v want %v", p.name, sends, p.sends)
		}
		for topic, meant := range p.meant {
			n := len(got[topic]) + p.gaps[topic]
			if n > len(meant) || n < len(meant) && p.policy != engine.SlowConflate {
				m.t.Errorf("%s: %s: got %d, gaps %d, meant %d", p.name, topic, len(got[topic]), p.gaps[topic], len(meant))
			}
		}
		p.mu.Unlock()
	}
}

// streamRound is one server of the model. strict: OnGap sends what it is told.
func streamRound(t *testing.T, seed uint64, strict bool) {
	m := &streamModel{t: t, joined: make(chan *engine.WebSocket, 1), held: map[int]func(){}, rng: rand.New(rand.NewPCG(seed, 1))}
	m.srv = &engine.Server{
		Loops:     2,
		Slow:      engine.Slow{Policy: engine.SlowDropNewest, Limit: []int{3000, 20000, 1 << 20}[m.rng.IntN(3)]},
		Limits:    engine.Limits{CloseTimeout: time.Second, WriteTimeout: -1, PingInterval: -1},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { m.joined <- ws },
		Callbacks: engine.Callbacks{
			OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
				p := engine.Get[*streamPeer](ws)
				p.mu.Lock()
				defer p.mu.Unlock()
				p.gaps[topic] += int(dropped)
				if strict {
					if err := ws.SendText(fmt.Sprintf("G %d %s", dropped, topic)); err != nil && ws.Err() == nil {
						p.tainted = true
					}
				}
			},
		},
	}
	m.addr = listenWithSendBuffer(t, m.srv, 4096)
	for i := range 8 {
		m.peers = append(m.peers, m.connect(i))
	}
	for range 600 {
		m.operate()
		if t.Failed() {
			break
		}
	}
	if !t.Failed() {
		m.settle()
		m.check(strict)
	}
	st := m.srv.Stats()
	t.Logf("%d dropped, %d conflated, %d slow", st.Dropped, st.Conflated, st.Ended[engine.CauseSlow])
	m.release(0)
	m.release(1)
	for _, p := range m.peers {
		p.setGate(true)
	}
	if err := m.srv.Close(); err != nil {
		t.Error(err)
	}
	if topics, parts, subs, slow := engine.HubLeft(m.srv); topics+parts+subs+slow != 0 {
		t.Errorf("left over: %d topics, %d parts, %d subscriptions, %d slow", topics, parts, subs, slow)
	}
	for _, p := range m.peers {
		if p.ws.Buffered() != 0 {
			t.Errorf("%s: buffered %d", p.name, p.ws.Buffered())
		}
	}
	if st := m.srv.Stats(); st.QueuedBytes != 0 {
		t.Errorf("%d bytes", st.QueuedBytes)
	}
	if t.Failed() {
		t.Log(strings.Join(m.log[max(0, len(m.log)-300):], "\n"))
	}
}

// Random operations of one goroutine on connections that are sent messages in
// fragments, told of gaps, held up, and closed. The loops go on when they like.
func TestRandomFragmentsAndGapsKeepToTheModel(t *testing.T) {
	rounds := 10
	if longTests {
		rounds = 500
	}
	seeds.Each(t, rounds, func(t *testing.T, seed uint64) { streamRound(t, seed, seed%2 == 1) })
}
