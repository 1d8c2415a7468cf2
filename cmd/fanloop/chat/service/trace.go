package service

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

const (
	maxTraces    = 8   // at a time, of a node
	traceWaiting = 256 // events of one that wait to be read; more are left out
)

// ErrTraces: as many are traced as may be.
var ErrTraces = errors.New("service: too many traces at a time; end another one")

// Traced is one of a node that is watched: a user, a topic or a connection.
type Traced struct {
	User       string `json:"user,omitzero"`
	Topic      string `json:"topic,omitzero"`
	Connection uint64 `json:"connection,omitzero"`
}

// Event is what happened to one that is traced. It has no token and no text of a message.
type Event struct {
	Time       int64   `json:"time"` // of the clock of this node, in Unix milliseconds
	Event      string  `json:"event"`
	Type       string  `json:"type,omitzero"`     // of the command or frame
	Encoding   string  `json:"encoding,omitzero"` // of a message, which is encoded for many at once
	Connection uint64  `json:"connection,omitzero"`
	Address    string  `json:"address,omitzero"`
	User       string  `json:"user,omitzero"`
	Topic      string  `json:"topic,omitzero"`
	Offset     string  `json:"offset,omitzero"`
	Code       string  `json:"code,omitzero"` // of an error, or the outcome of a hook
	Bytes      int     `json:"bytes,omitzero"`
	Took       float64 `json:"took,omitzero"`   // milliseconds
	Missed     int     `json:"missed,omitzero"` // events in front of this one that were left out
}

// traces are those that somebody looks at. Without any, an event costs one atomic load.
type traces struct {
	on atomic.Pointer[[]*watcher] // nil: nobody looks; the list does not change

	mu sync.Mutex // of changes
}

// watcher is somebody who looks at one.
type watcher struct {
	of     Traced // immutable
	events chan Event

	mu     sync.Mutex
	missed int // guarded by mu
}

// Trace returns what happens to one from now on, on this node, until ctx ends; then the
// channel is closed.
func (s *Service) Trace(ctx context.Context, of Traced) (<-chan Event, error) {
	one := &watcher{of: of, events: make(chan Event, traceWaiting)}
	if !s.traces.change(func(all []*watcher) []*watcher {
		if len(all) >= maxTraces {
			return nil
		}
		return append(all, one)
	}) {
		return nil, ErrTraces
	}
	read := make(chan Event)
	go func() {
		defer close(read)
		defer s.traces.change(func(all []*watcher) []*watcher {
			return slices.DeleteFunc(all, func(t *watcher) bool { return t == one })
		})
		for {
			select {
			case e := <-one.events:
				select {
				case read <- e:
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return read, nil
}

// change replaces the list; nil leaves it.
func (t *traces) change(to func([]*watcher) []*watcher) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []*watcher
	if now := t.on.Load(); now != nil {
		all = slices.Clone(*now)
	}
	switch all = to(all); {
	case all == nil:
		return false
	case len(all) == 0:
		t.on.Store(nil)
	default:
		t.on.Store(&all)
	}
	return true
}

// note gives an event to those that it is about.
func note(all []*watcher, e Event) {
	e.Time = time.Now().UnixMilli()
	for _, t := range all {
		if t.of.Connection != 0 && t.of.Connection == e.Connection || t.of.User != "" && t.of.User == e.User || t.of.Topic != "" && t.of.Topic == e.Topic {
			t.add(e)
		}
	}
}

func (t *watcher) add(e Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e.Missed = t.missed
	select {
	case t.events <- e:
		t.missed = 0
	default:
		t.missed++
	}
}

// happened notes an event of a connection, with the command or frame that it is about. On
// the loop of the connection.
func (c *conn) happened(event string, about any) {
	if on := c.service.traces.on.Load(); on != nil {
		note(*on, c.eventOf(event, about))
	}
}

// eventOf has what may be shown of a command or frame: names and positions.
func (c *conn) eventOf(event string, about any) Event {
	e := Event{Event: event, Type: protocol.NameOf(about), Connection: c.ws.ID(), Address: c.remote.String(), User: c.user}
	v := reflect.Indirect(reflect.ValueOf(about))
	if v.Kind() != reflect.Struct {
		return e
	}
	if topic := v.FieldByName("Topic"); topic.IsValid() {
		e.Topic = topic.String()
	}
	if code := v.FieldByName("Code"); code.IsValid() {
		e.Code = code.String()
	}
	if pos := v.FieldByName("Pos"); pos.IsValid() {
		switch p := pos.Interface().(type) {
		case *protocol.Position:
			if p != nil {
				e.Offset = strconv.FormatUint(p.Offset, 10)
			}
		case protocol.Position:
			e.Offset = strconv.FormatUint(p.Offset, 10)
		}
	}
	if data := v.FieldByName("Data"); data.IsValid() {
		e.Bytes = data.Len()
	}
	return e
}

// ended notes that the connection is closed.
func (c *conn) ended(status engine.StatusCode) {
	if on := c.service.traces.on.Load(); on != nil {
		e := c.eventOf("closed", nil)
		e.Code = strconv.Itoa(int(status))
		note(*on, e)
	}
}

// hooked notes an answer of the backend.
func (c *conn) hooked(kind, outcome, topic string, began time.Time) {
	if on := c.service.traces.on.Load(); on != nil {
		e := c.eventOf("hook", nil)
		e.Type, e.Topic, e.Code, e.Took = kind, topic, outcome, float64(time.Since(began).Microseconds())/1000
		note(*on, e)
	}
}

// published notes a message of a user, or of a backend in the name of one.
func (s *Service) published(topic, user string, bytes int) {
	s.looking.published(topic, user)
	if on := s.traces.on.Load(); on != nil {
		note(*on, Event{Event: "publish", Topic: topic, User: user, Bytes: bytes})
	}
}

// delivered notes a message that subscribers of an encoding get: once for the topic, and
// once for each traced connection that is subscribed. Any goroutine.
func (s *Service) delivered(encoding protocol.Encoding, m *cluster.Message) {
	if on := s.traces.on.Load(); on != nil {
		s.noteDelivery(*on, encoding, m)
	}
}

func (s *Service) noteDelivery(on []*watcher, encoding protocol.Encoding, m *cluster.Message) {
	e := Event{Event: "message", Type: protocol.NameOf(new(protocol.Message)), Encoding: encoding.Subprotocol(), Topic: m.Topic, Offset: strconv.FormatUint(m.Offset, 10), Bytes: len(m.Data)}
	note(on, e)
	for _, t := range on {
		if t.of.Topic != "" {
			continue
		}
		s.registry.each(func(c *conn, user string) {
			if t.of.User == user || t.of.Connection == c.ws.ID() {
				if c.encoding == encoding && c.attempt(m.Topic) != 0 {
					one := e
					one.Time, one.Connection, one.User = time.Now().UnixMilli(), c.ws.ID(), user
					t.add(one)
				}
			}
		})
	}
}
