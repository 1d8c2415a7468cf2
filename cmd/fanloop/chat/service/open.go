package service

import (
	"context"
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// delivery implements session.Delivery for one attempt. It is owned by the loop.
type delivery struct {
	conn    *conn
	topic   string
	attempt uint32
	counted uint8 // places of the subscription: of the user, then of the address
	started bool
	stopped bool
	stored  bool // messages are delivered
	passive bool
	more    bool              // the answer said that messages follow; immutable once it was started
	from    *cluster.Position // where they go on; nil: none are delivered, or it was started
	shared  []string          // kinds of frames that all get
	release []func()
	next    *delivery // of the connection; guarded by its mu

	marker *protocol.Marker // of a passive subscription; nil: there is none
}

// Open implements session.Backend.
func (b *backend) Open(who *session.Identity, c *protocol.Subscribe, wanted func() bool, done func(session.Opened, error)) {
	space, err := b.service.rules.Load().Namespace(c.Topic)
	if err != nil {
		done(session.Opened{}, protocol.UnknownTopic)
		return
	}
	d := &delivery{conn: b.conn, topic: c.Topic, attempt: c.Attempt}
	if err := d.count(); err != nil {
		done(d.opened(protocol.Subscribed{}, err))
		return
	}
	user, stored := who.User, space.KeepsHistory()
	opened := func(a protocol.Subscribed, err error, take func(*protocol.Subscribed) error) {
		switch {
		case err != nil:
		case wanted():
			err = take(&a)
		default: // what it would share is the latest attempt's
			err = protocol.Stale
		}
		done(d.opened(a, err))
	}
	switch {
	case c.Mode == protocol.Passive:
		b.askPassive(user, c.Topic, stored, func(a passiveAnswer, err error) {
			opened(a.Subscribed, err, func(answer *protocol.Subscribed) error { return d.openPassive(answer, a.tail) })
		})
	case !stored:
		opened(protocol.Subscribed{}, nil, func(a *protocol.Subscribed) error {
			if err := d.openShared(user, c, space, a); err != nil {
				return err
			}
			return d.openPlain(a)
		})
	default:
		ask(b, func(ctx context.Context) (protocol.Subscribed, error) {
			a, err := b.service.place(ctx, c)
			if err == nil {
				err = b.service.withMarker(ctx, user, c.Topic, &a)
			}
			return a, err
		}, func(a protocol.Subscribed, err error) {
			opened(a, err, func(a *protocol.Subscribed) error { return d.openStored(user, c, space, a) })
		})
	}
}

// count takes a subscription of the limits of the user and the address.
func (d *delivery) count() error {
	user, address := d.conn.place, d.conn.address
	if err := user.Subscribe(); err != nil {
		return err
	}
	d.counted++
	if err := address.Subscribe(); err != nil {
		return err
	}
	d.counted++
	return nil
}

// opened is what the session is given. After an error nothing is left of d.
func (d *delivery) opened(a protocol.Subscribed, err error) (session.Opened, error) {
	if err != nil {
		d.Stop()
		return session.Opened{}, answer(err)
	}
	return session.Opened{Answer: a, Delivery: d}, nil
}

// place finds where a subscription begins, and what is in front of that.
func (s *Service) place(ctx context.Context, c *protocol.Subscribe) (a protocol.Subscribed, err error) {
	var from cluster.Position
	if c.Pos != nil {
		from = cluster.Position(*c.Pos)
	}
	sub, err := s.node.Subscribe(ctx, c.Topic, from, nil)
	if err != nil {
		return a, err
	}
	defer sub.Close()
	a.State = protocol.Fresh
	if c.Pos != nil {
		batch, err := sub.Next(ctx, cluster.Budget{Messages: 1, Bytes: 1})
		if err != nil {
			return a, err
		}
		if !batch.Lost {
			a.State, a.Pos, a.More = protocol.Resumed, c.Pos, len(batch.Messages) > 0
			return a, nil
		}
		a.State = protocol.Reset
	}
	end := protocol.Position(sub.Position())
	a.Pos = &end
	if c.Last == 0 {
		return a, nil
	}
	return a, s.lastOf(ctx, c, &a)
}

// lastOf adds the last messages of a topic, and moves the position behind them.
func (s *Service) lastOf(ctx context.Context, c *protocol.Subscribe, a *protocol.Subscribed) error {
	page, err := s.lastPage(ctx, c.Topic, c.Last)
	if err != nil {
		return err
	}
	a.Begin = page.Begin
	if n := len(page.Messages); n > 0 {
		end, back := protocol.Position(page.Messages[n-1].Position()), protocol.Position(page.Position)
		a.Messages, a.Pos, a.Back = s.messagesOf(page.Messages), &end, &back
	}
	return nil
}

// openStored notes where messages go on, and opens what is shared.
func (d *delivery) openStored(user string, c *protocol.Subscribe, space *rules.Namespace, a *protocol.Subscribed) error {
	from := cluster.Position(*a.Pos)
	d.from, d.stored, d.more = &from, !from.IsZero(), a.More
	if err := d.openShared(user, c, space, a); err != nil {
		return err
	}
	if a.Marker != nil {
		d.conn.service.showRead(user, c.Topic, a.Marker.Pos) // another node may have had it
	}
	return nil
}

// openShared joins the user, and subscribes to what is shared, in front of the state
// that it follows.
func (d *delivery) openShared(user string, c *protocol.Subscribe, space *rules.Namespace, a *protocol.Subscribed) error {
	s := d.conn.service
	if space.Presence != presence.Off {
		leave, err := s.presence.Join(c.Topic, user)
		if err != nil {
			return err
		}
		d.release = append(d.release, leave)
		if c.Presence {
			if err := d.openPresence(space.Presence, a); err != nil {
				return err
			}
		}
	}
	for i, name := range c.Kinds {
		if slices.Contains(c.Kinds[:i], name) || name == protocol.KindRead && !space.ShowsReadPositions() {
			continue
		}
		k := s.kinds[name]
		if k == nil {
			return protocol.Fail(nil, protocol.UnknownKind, "the topic has no keyed values of the kind "+name)
		}
		if err := d.openKind(k, a); err != nil {
			return err
		}
	}
	return nil
}

func (d *delivery) openPresence(level presence.Level, a *protocol.Subscribed) error {
	watch, release, err := d.conn.service.members.take(d.topic)
	if err != nil {
		return err
	}
	d.release = append(d.release, release)
	if err := d.share(presenceKind); err != nil {
		return err
	}
	state := watch.State()
	a.Presence = &protocol.Presence{Level: levelName(level), Seq: state.Seq, Count: state.Count, Users: state.Users, Sample: state.Sample}
	return nil
}

func (d *delivery) openKind(k *kind, a *protocol.Subscribed) error {
	shared, release, err := k.feeds.take(d.topic)
	if err != nil {
		return err
	}
	d.release = append(d.release, release)
	if err := d.share(k.name); err != nil {
		return err
	}
	a.Kinds = append(a.Kinds, shared.state())
	return nil
}

// share subscribes to frames that all get.
func (d *delivery) share(kind string) error {
	if err := d.conn.ws.Subscribe(d.nameOf(kind)); err != nil {
		return err
	}
	d.shared = append(d.shared, kind)
	return nil
}

// Start implements session.Delivery.
func (d *delivery) Start() {
	d.started = true
	if d.passive {
		if d.conn.passive == nil {
			d.conn.passive = make(map[string]*delivery)
		}
		d.conn.passive[d.topic] = d
	}
	d.conn.begin(d)
	d.conn.flush()
	if !d.stored {
		return
	}
	from := *d.from
	d.from = nil // kept by nobody: those who are up to date need none
	if err := d.live().Subscribe(d.conn.ws, d.topic, from); err != nil {
		d.conn.do(func() { d.conn.session.Unsubscribe(d.topic, d.attempt, later(protocol.Unavailable)) })
	}
}

// Stop implements session.Delivery.
func (d *delivery) Stop() {
	d.stopped = true
	if d.conn.passive[d.topic] == d {
		delete(d.conn.passive, d.topic)
	}
	if d.started {
		d.conn.end(d.topic)
		if d.stored {
			d.live().Unsubscribe(d.conn.ws, d.topic)
		}
	}
	for _, kind := range d.shared {
		_ = d.conn.ws.Unsubscribe(d.nameOf(kind)) // the connection has ended
	}
	for _, release := range d.release {
		release()
	}
	d.uncount()
}

// uncount undoes count.
func (d *delivery) uncount() {
	if d.counted > 0 {
		d.conn.place.Unsubscribe()
	}
	if d.counted > 1 {
		d.conn.address.Unsubscribe()
	}
	d.counted = 0
}

// nameOf is the engine's topic of a kind of frames.
func (d *delivery) nameOf(kind string) string {
	if kind == plainKind {
		return plainTopic(d.conn.encoding, d.topic)
	}
	return sharedTopic(d.conn.encoding, kind, d.topic)
}

// live delivers messages in the encoding of the connection.
func (d *delivery) live() *live.Topics { return d.conn.service.topics[d.conn.encoding] }

// watchMembers shares what changes in the presence of a topic.
func (s *Service) watchMembers(topic string) (*presence.Watch, error) {
	return s.presence.Watch(topic, func(u presence.Update) {
		s.share(presenceKind, topic, &protocol.PresenceChange{
			Topic: topic, Seq: u.Seq, Count: u.Count, Reset: u.Reset, Joined: u.Joined, Left: u.Left, Sample: u.Sample,
		})
	})
}

// levelName is the level as clients know it.
func levelName(l presence.Level) string {
	switch l {
	case presence.Off:
		return "off"
	case presence.Count:
		return "count"
	case presence.Sample:
		return "sample"
	case presence.Pages:
		return "pages"
	}
	return "full"
}
