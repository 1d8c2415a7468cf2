package service

import (
	"context"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// passiveAnswer is the answer to a passive subscribe, and the tail of the topic.
type passiveAnswer struct {
	protocol.Subscribed
	tail *tail
}

// askPassive asks the store what is unread. The tail is kept while it does: who asks at the same
// time shares it.
func (b *backend) askPassive(user, topic string, stored bool, then func(passiveAnswer, error)) {
	ask(b, func(ctx context.Context) (a passiveAnswer, err error) {
		one, release := b.service.tails.keep(b.service.tails.find(topic))
		defer release() // the connection may have ended: nobody takes the answer then
		a.tail = one
		if stored {
			err = b.service.withMarker(ctx, user, topic, &a.Subscribed)
		}
		return a, err
	}, then)
}

// openPassive begins to watch a topic. From this turn on notes follow the answer.
func (d *delivery) openPassive(a *protocol.Subscribed, one *tail) error {
	s := d.conn.service
	watch, release, err := s.notes.take(d.topic)
	if err != nil {
		return err
	}
	_, leave := s.tails.keep(one)
	d.passive, d.marker = true, a.Marker
	s.noted.add(d)
	d.release = append(d.release, release, leave, func() { s.noted.remove(d) })
	a.State, a.Count = protocol.Fresh, watch.Count()
	return nil
}
