package bench

import (
	"log/slog"
	"net/url"
	"slices"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// maxMessage is the largest message of the bench protocol, in bytes.
const maxMessage = 64 << 20

// NewServer returns a server of the bench protocol with fanloop on loops event
// loops; 0 means one per CPU. Clients that ask for ?topic=NAME get what is
// published by clients of that topic, which is how K topics are measured; the
// others share one. The caller starts and ends it.
func NewServer(loops int, log *slog.Logger) *engine.Server {
	h := &hub{topics: make(map[string]*topic)}
	receive := func(op engine.OpCode) func(*engine.WebSocket, []byte) {
		return func(ws *engine.WebSocket, p []byte) {
			if len(p) > 0 && p[0] == 'B' {
				ws.Value().(*member).topic.publish(op, p)
				return
			}
			echo(ws, op, p)
		}
	}
	return &engine.Server{
		Loops:  loops,
		Logger: log,
		Limits: engine.Limits{MaxMessage: maxMessage, MaxQueued: 4 << 20},
		Origin: handshake.AllowAnyOrigin,
		OnUpgrade: func(ws *engine.WebSocket, req *handshake.Request) {
			ws.SetValue(h.join(ws, topicOf(req)))
		},
		Callbacks: engine.Callbacks{
			OnText:   receive(engine.Text),
			OnBinary: receive(engine.Binary),
			OnDrain:  drained,
			OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
				m := ws.Value().(*member)
				m.topic.leave(m)
			},
		},
	}
}

func topicOf(req *handshake.Request) string {
	values, err := url.ParseQuery(req.Query())
	if err != nil {
		return ""
	}
	return values.Get("topic")
}

// echo sends a message back. A client that does not read is not read from.
func echo(ws *engine.WebSocket, op engine.OpCode, p []byte) {
	if ws.Send(op, p) == engine.ErrBackpressure {
		m := ws.Value().(*member)
		m.held, m.op = slices.Clone(p), op
		ws.PauseReading()
	}
}

// drained goes on where echo paused.
func drained(ws *engine.WebSocket) {
	m := ws.Value().(*member)
	if m.held == nil || ws.Send(m.op, m.held) == engine.ErrBackpressure {
		return
	}
	m.held = nil
	ws.ResumeReading()
}

// hub holds the topics. Any loop may use it.
type hub struct {
	mu     sync.Mutex
	topics map[string]*topic
}

// topic is the clients that get each other's publishes. Any loop may use it.
type topic struct {
	mu      sync.Mutex
	members []*member
	pending []*engine.Prepared // until the publisher's turn ends
}

// member is a client of a topic.
type member struct {
	ws    *engine.WebSocket
	topic *topic
	place int // in topic.members, guarded by its mu

	// Owned by the loop of ws.
	held []byte // an echo that found the queue full
	op   engine.OpCode
}

func (h *hub) join(ws *engine.WebSocket, name string) *member {
	h.mu.Lock()
	t := h.topics[name]
	if t == nil {
		t = new(topic)
		h.topics[name] = t
	}
	h.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	m := &member{ws: ws, topic: t, place: len(t.members)}
	t.members = append(t.members, m)
	return m
}

func (t *topic) leave(m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := len(t.members) - 1
	t.members[m.place] = t.members[last]
	t.members[m.place].place = m.place
	t.members[last] = nil
	t.members = t.members[:last]
}

// publish delivers p to every member. What is published before that has begun
// goes along, so a burst costs each member one write.
func (t *topic) publish(op engine.OpCode, p []byte) {
	m, err := engine.Prepare(op, p)
	if err != nil {
		return // op is that of a message
	}
	t.mu.Lock()
	t.pending = append(t.pending, m)
	first := len(t.pending) == 1
	t.mu.Unlock()
	if first {
		t.schedule()
	}
}

// schedule delivers what is pending on the loop of any member, in its next turn.
func (t *topic) schedule() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.members {
		if m.ws.Do(t.deliver) == nil {
			return
		}
	}
	t.pending = nil // nobody is left
}

// deliver hands what is pending to the loops of the members.
func (t *topic) deliver() {
	t.mu.Lock()
	defer t.mu.Unlock()
	batch := t.pending
	t.pending = nil
	for _, m := range t.members {
		_ = m.ws.Do(func() { // ended: it leaves
			for _, p := range batch {
				_ = m.ws.SendPrepared(p) // full or ended: this one misses it
			}
		})
	}
}
