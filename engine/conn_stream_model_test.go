package engine_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// streamPeer is a connection of streamModel, both sides.
type streamPeer struct {
	name   string
	ws     *engine.WebSocket
	c      *rawClient
	policy engine.SlowPolicy
	gate   chan bool
	done   chan struct{}

	// Of the one goroutine that calls.
	subs  map[string]bool
	open  bool // a fragmented message is
	began int  // its number
	meant map[string][]int
	sends []int
	gone  bool

	mu      sync.Mutex
	got     []string
	gaps    map[string]int
	ends    bool
	tainted bool // a gap message was refused
	left    map[string]bool
}

// streamModel calls from one goroutine, and so knows what each call has to say and
// what every connection has to receive.
type streamModel struct {
	t      *testing.T
	srv    *engine.Server
	addr   string
	joined chan *engine.WebSocket
	peers  []*streamPeer
	number int
	held   map[int]func()
	rng    *rand.Rand
	log    []string
}

func (m *streamModel) logf(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%d: ", m.number)+fmt.Sprintf(format, args...))
}

func (m *streamModel) connect(i int) *streamPeer {
	p := &streamPeer{gate: make(chan bool, 1), done: make(chan struct{}), subs: map[string]bool{}, meant: map[string][]int{}, left: map[string]bool{}, gaps: map[string]int{}}
	p.c = openNarrow(m.t, m.addr)
	_ = p.c.SetDeadline(time.Time{})
	p.c.br.Reset(p.c.Conn)
	p.ws = within(m.t, "OnUpgrade", m.joined)
	engine.Set(p.ws, p)
	p.policy = []engine.SlowPolicy{engine.SlowDropNewest, engine.SlowDropOldest, engine.SlowConflate, engine.SlowClose}[i%4]
	limit := 0
	if m.rng.IntN(2) == 0 {
		limit = 4 << 10
	}
	p.ws.SetSlow(engine.Slow{Policy: p.policy, Limit: limit})
	p.name = fmt.Sprintf("peer %d loop %d policy %d limit %d", i, engine.LoopOf(p.ws), p.policy, limit)
	go p.read(m)
	return p
}

// read checks frames, and notes messages.
func (p *streamPeer) read(m *streamModel) {
	defer close(p.done)
	defer p.c.Close()
	var part strings.Builder
	inside := false
	for {
		select {
		case open := <-p.gate:
			for !open {
				open = <-p.gate
			}
		default:
		}
		h, payload, err := p.c.readFrame()
		if err != nil {
			return
		}
		switch {
		case h.OpCode == codec.Close:
			_, _ = p.c.Write([]byte(testkit.Masked(codec.Close, string(payload))))
			_, _, _ = p.c.readFrame()
			return
		case h.OpCode.IsControl():
			continue
		case inside != (h.OpCode == codec.Continuation):
			m.t.Errorf("%s: frame %v %.30q inside=%v", p.name, h.OpCode, payload, inside)
			return
		}
		part.Write(payload)
		inside = !h.Fin
		if inside {
			continue
		}
		text := part.String()
		part.Reset()
		p.mu.Lock()
		if text == "end" {
			p.ends = true
		} else {
			p.got = append(p.got, text)
		}
		p.mu.Unlock()
	}
}

// setGate stops or starts the reader.
func (p *streamPeer) setGate(open bool) {
	for {
		select {
		case p.gate <- open:
			return
		case <-p.gate:
		case <-p.done:
			return
		}
	}
}

func (m *streamModel) publish() {
	topic := fmt.Sprint("t", m.rng.IntN(3))
	m.number++
	size := m.rng.IntN(300)
	if m.rng.IntN(10) == 0 {
		size = m.rng.IntN(3000)
	}
	text := fmt.Appendf(nil, "P %d %s %s", m.number, topic, strings.Repeat("x", size))
	var d engine.Delivery
	var err error
	var from *streamPeer
	switch n := m.rng.IntN(10); {
	case n < 2:
		from = m.peers[m.rng.IntN(len(m.peers))]
		d, err = from.ws.Publish(topic, engine.TextMessage(text))
	case n < 4:
		d, err = m.srv.Publish(topic, engine.Message{Op: engine.Text, Data: text, Key: fmt.Sprint(m.rng.IntN(3))})
	default:
		d, err = m.srv.Publish(topic, engine.TextMessage(text))
	}
	m.logf("publish %s size %d: %+v %v", topic, len(text), d, err)
	if err != nil && !errors.Is(err, engine.ErrBackpressure) {
		m.t.Error(err)
	}
	want := 0
	for _, p := range m.peers {
		if p == from || !p.subs[topic] || p.gone {
			continue
		}
		want++
		p.meant[topic] = append(p.meant[topic], m.number)
	}
	if d.Subscribers() != want {
		m.t.Errorf("%d: publish from %v to %s: %+v, %v; want %d", m.number, from, topic, d, err, want)
	}
	if d.Closed > 0 {
		for _, p := range m.peers {
			if !p.gone && errors.Is(p.ws.Err(), engine.ErrSlow) {
				m.logf("%s closed slow", p.name)
				p.gone = true
				d.Closed--
			}
		}
		if d.Closed != 0 {
			m.t.Errorf("%+v but no peer is closed", d)
		}
	}
}

func (m *streamModel) send(p *streamPeer) {
	m.number++
	err := p.ws.SendText(fmt.Sprintf("S %d - ", m.number))
	m.logf("send to %s: %v", p.name, err)
	switch {
	case p.gone:
		if err != engine.ErrClosed {
			m.t.Error(m.number, p.name, err)
		}
	case p.open:
		if err != engine.ErrFragmentOpen {
			m.t.Error(m.number, p.name, err)
		}
	case err == nil:
		p.sends = append(p.sends, m.number)
	case err != engine.ErrBackpressure && !errors.Is(err, engine.ErrFragmentOpen):
		m.t.Error(m.number, p.name, err)
	}
}

func (m *streamModel) fragment(p *streamPeer, fin bool) {
	m.number++
	text := "..."
	if !p.open {
		text = fmt.Sprintf("S %d - ", m.number)
	}
	err := p.ws.SendFragment(engine.Text, []byte(text), fin)
	m.logf("fragment fin=%v to %s: %v", fin, p.name, err)
	switch {
	case err == nil:
		if !p.open {
			p.began = m.number
			p.sends = append(p.sends, m.number)
		}
		p.open = !fin
	case p.gone && err == engine.ErrClosed, err == engine.ErrBackpressure:
	default:
		m.t.Error(m.number, p.name, err)
	}
}

func (m *streamModel) operate() {
	p := m.peers[m.rng.IntN(len(m.peers))]
	topic := fmt.Sprint("t", m.rng.IntN(3))
	switch n := m.rng.IntN(100); {
	case n < 40:
		m.publish()
	case n < 48:
		m.send(p)
	case n < 60:
		m.fragment(p, m.rng.IntN(2) == 0)
	case n < 70:
		m.logf("subscribe %s %s", p.name, topic)
		if err := p.ws.Subscribe(topic); err != nil && !p.gone {
			m.t.Error(m.number, p.name, err)
		}
		p.subs[topic] = true
	case n < 76:
		m.logf("unsubscribe %s %s", p.name, topic)
		if err := p.ws.Unsubscribe(topic); err != nil {
			m.t.Error(m.number, p.name, err)
		}
		p.left[topic] = p.left[topic] || p.subs[topic]
		p.subs[topic] = false
	case n < 84:
		m.hold(m.rng.IntN(2))
	case n < 92:
		open := m.rng.IntN(3) > 0
		m.logf("gate %s %v", p.name, open)
		p.setGate(open)
	case n < 98:
		time.Sleep(time.Duration(m.rng.IntN(200)) * time.Microsecond)
	case n < 99 && m.rng.IntN(4) == 0:
		m.release(0)
		m.release(1)
		m.logf("end of %s", p.name)
		if !p.gone {
			p.gone = true
			if m.rng.IntN(2) == 0 {
				_ = p.ws.Close(engine.StatusNormalClosure, "")
			} else {
				p.ws.CloseNow()
			}
		}
		p.setGate(true)
		within(m.t, "the end", p.ws.Done())
		for i := range m.peers {
			if m.peers[i] == p {
				m.peers[i] = m.connect(i)
			}
		}
	}
}

// hold keeps a loop from going on, or lets it.
func (m *streamModel) hold(loop int) {
	if m.held[loop] != nil {
		m.release(loop)
		return
	}
	for _, p := range m.peers {
		if !p.gone && engine.LoopOf(p.ws) == loop {
			held, leave := make(chan struct{}), make(chan struct{})
			if p.ws.Do(func() { close(held); <-leave }) != nil {
				continue
			}
			select {
			case <-held:
				m.held[loop] = func() { close(leave) }
				m.logf("hold loop %d", loop)
			case <-p.ws.Done():
				continue
			}
			return
		}
	}
}

func (m *streamModel) release(loop int) {
	if fn := m.held[loop]; fn != nil {
		m.logf("release loop %d", loop)
		m.held[loop] = nil
		fn()
	}
}
