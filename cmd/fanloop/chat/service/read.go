package service

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/passive"
)

// markerChannel is where nodes say that a marker has moved.
var markerChannel = cluster.Channel{Kind: "chat-marker", Topic: "all"}

// movedMarker is what they say.
type movedMarker struct {
	User   string             `cbor:"1,keyasint"`
	Marker *protocol.MarkerIs `cbor:"2,keyasint"`
}

// Read implements session.Backend.
func (b *backend) Read(who *session.Identity, c protocol.Command, done func(*protocol.MarkerIs, error)) {
	user := who.User
	ask(b, func(ctx context.Context) (*protocol.MarkerIs, error) {
		return b.service.read(ctx, b.conn, user, c)
	}, func(m *protocol.MarkerIs, err error) {
		if err == nil {
			b.conn.noteMarker(m)
		}
		done(m, err)
	})
}

// read moves the marker of a user, and tells the other connections of the user than from.
func (s *Service) read(ctx context.Context, from *conn, user string, c protocol.Command) (*protocol.MarkerIs, error) {
	topic, pos, next := moveOf(c)
	end, err := s.tails.read(ctx, topic)
	if err != nil {
		return nil, err
	}
	last := end.end()
	if pos.Epoch == last.Epoch && pos.Offset > last.Offset {
		return nil, protocol.PositionLost // there is no such message
	}
	marker, moved, err := s.markers.move(ctx, user, topic, func(m protocol.Marker) protocol.Marker { return next(m, last.Epoch) })
	if err != nil {
		return nil, err
	}
	if marker == (protocol.Marker{}) {
		return nil, protocol.PositionLost // there is none, and none to be made of it
	}
	is := &protocol.MarkerIs{Topic: topic, Pos: marker.Pos, Version: marker.Version, Unread: end.unread(user, &marker)}
	if _, is := c.(*protocol.Read); is && moved {
		s.showRead(user, topic, marker.Pos)
	}
	if moved {
		s.tellMarker(user, is, from)
		if data, err := cbor.Marshal(movedMarker{user, is}); err == nil {
			_ = s.store.broker.Send(markerChannel, data) // who misses it has it by the next subscribe
		}
	}
	return is, nil
}

// shownReaders is how many users may be in a topic whose read positions are shown.
const shownReaders = 100

// showRead shows the others in a topic how far a user has read, if that is to be shown. What
// is not shown now is with the next move.
func (s *Service) showRead(user, topic string, pos protocol.Position) {
	space, err := s.rules.Load().Namespace(topic)
	if err != nil || !space.ShowsReadPositions() {
		return
	}
	watch, release, err := s.members.take(topic)
	if err != nil {
		return
	}
	defer release()
	if watch.Count() > shownReaders {
		return
	}
	if data, err := json.Marshal(&pos); err == nil {
		_ = s.kinds[protocol.KindRead].values.Set(topic, user, data) // full: too many
	}
}

// moveOf is where a command moves a marker in a topic of an epoch.
func moveOf(c protocol.Command) (topic string, pos protocol.Position, next func(m protocol.Marker, epoch string) protocol.Marker) {
	switch c := c.(type) {
	case *protocol.Read:
		return c.Topic, *c.Pos, func(m protocol.Marker, epoch string) protocol.Marker { return m.Read(*c.Pos, c.Version, epoch) }
	case *protocol.Unread:
		return c.Topic, *c.Pos, func(m protocol.Marker, epoch string) protocol.Marker { return m.Unread(*c.Pos, c.Version, epoch) }
	}
	panic("service: a command that moves no marker")
}

// tellMarker tells the connections of a user on this node, but from, which has an answer.
func (s *Service) tellMarker(user string, m *protocol.MarkerIs, from *conn) {
	for _, c := range s.registry.of(user) {
		if c == from {
			continue
		}
		c.do(func() {
			c.noteMarker(m)
			c.session.MarkerMoved(m)
		})
	}
}

// markerReceiver hears of markers that other nodes moved.
type markerReceiver struct{ service *Service }

// Receive implements cluster.Receiver.
func (r markerReceiver) Receive(data []byte) {
	var m movedMarker
	if cbor.Unmarshal(data, &m) == nil && m.Marker != nil {
		r.service.tellMarker(m.User, m.Marker, nil)
	}
}

// Gap implements cluster.Receiver. What is missed is in the answer to the next subscribe.
func (markerReceiver) Gap(error) {}

// noteMarker keeps the marker of a passive subscription, unless it has a later one.
func (c *conn) noteMarker(m *protocol.MarkerIs) {
	d := c.passive[m.Topic]
	if d == nil {
		return
	}
	moved := protocol.Marker{Pos: m.Pos, Version: m.Version}
	if d.marker != nil {
		moved = d.marker.Later(moved, m.Pos.Epoch)
	}
	d.marker = &moved
}

// withMarker adds the marker of a user to the answer of a subscribe, and what is unread.
func (s *Service) withMarker(ctx context.Context, user, topic string, a *protocol.Subscribed) error {
	marker, _, err := s.markers.get(ctx, user, topic)
	if err != nil || marker == nil {
		return err
	}
	end, err := s.tails.read(ctx, topic)
	if err != nil {
		return err
	}
	a.Marker, a.Unread = marker, end.unread(user, marker)
	return nil
}

// noted are the passive subscriptions of this node. Each gets notes of its own, as each
// user has another number of unread messages.
type noted struct {
	mu  sync.Mutex
	all map[string]map[*delivery]struct{} // guarded by mu; by topic
}

func (n *noted) add(d *delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all[d.topic] == nil {
		n.all[d.topic] = make(map[*delivery]struct{})
	}
	n.all[d.topic][d] = struct{}{}
}

func (n *noted) remove(d *delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if delete(n.all[d.topic], d); len(n.all[d.topic]) == 0 {
		delete(n.all, d.topic)
	}
}

func (n *noted) in(topic string) (list []*delivery) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for d := range n.all[topic] {
		list = append(list, d)
	}
	return list
}

// noteAgain is when a note is looked at again that came ahead of its message.
const noteAgain = time.Second

// watchNotes tells passive subscribers that there is something in a topic.
func (s *Service) watchNotes(topic string) (*passive.Watch, error) {
	return s.passive.Watch(topic, func(n passive.Note) {
		if !s.crew.try(func() { s.note(n, true) }) {
			s.sendNotes(n, nil)
		}
	})
}

// note counts what is unread in a topic, and tells.
func (s *Service) note(n passive.Note, first bool) {
	if !s.keepsHistory(n.Topic) {
		s.sendNotes(n, nil)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	before := s.tails.find(n.Topic).end()
	end, err := s.tails.read(ctx, n.Topic)
	if err != nil {
		end = nil
	}
	s.sendNotes(n, end)
	if first && (err != nil || end.end() == before) {
		time.AfterFunc(noteAgain, func() { s.crew.try(func() { s.note(n, false) }) })
	}
}

// sendNotes tells each passive subscriber; without an end, unread is not known.
func (s *Service) sendNotes(n passive.Note, end *tail) {
	for _, d := range s.noted.in(n.Topic) {
		d.conn.do(func() {
			if !d.started || d.stopped {
				return
			}
			note := &protocol.Note{Topic: n.Topic, Count: n.Count}
			if end != nil {
				note.Unread = end.unread(d.conn.user, d.marker)
			}
			_ = d.conn.Send(note) // it has no data
		})
	}
}
