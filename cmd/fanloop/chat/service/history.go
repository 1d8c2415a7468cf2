package service

import (
	"context"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// pageBytes bounds a page, as a Budget counts them.
const pageBytes = 256 << 10

// History implements session.Backend.
func (b *backend) History(c *protocol.History, done func(*protocol.Page, error)) {
	ask(b, func(ctx context.Context) (*protocol.Page, error) { return b.service.page(ctx, c) }, done)
}

// page reads the page that c asks for.
func (s *Service) page(ctx context.Context, c *protocol.History) (p *protocol.Page, err error) {
	begin := time.Now()
	if c.After != nil {
		p, err = s.after(ctx, c)
	} else {
		p, err = s.before(ctx, c)
	}
	if err != nil {
		s.counts.unread.Add(1)
	} else {
		s.counts.read.Add(time.Since(begin))
	}
	return p, err
}

// lastTries is how often the last page is read, where what was last expires meanwhile.
const lastTries = 3

// before reads the page in front of a position, or the last one.
func (s *Service) before(ctx context.Context, c *protocol.History) (*protocol.Page, error) {
	var at cluster.Position
	tries := lastTries
	if c.Before != nil {
		at, tries = cluster.Position(*c.Before), 1
	}
	for ; tries > 0; tries-- {
		page, err := s.node.Before(ctx, c.Topic, at, cluster.Budget{Messages: c.Limit, Bytes: pageBytes})
		if err != nil {
			return nil, err
		}
		if !page.Lost {
			return s.pageOf(page.Position.Epoch, page.Messages, page.Begin, c.Before == nil), nil
		}
	}
	return nil, protocol.PositionLost
}

// lastPage reads the last n messages of a topic. The node may have fewer of them in
// memory, as when a topic has just become live: then those in front are read too. If
// that fails, the page is shorter, and its Position goes on.
func (s *Service) lastPage(ctx context.Context, topic string, n int) (cluster.Page, error) {
	page, err := s.node.Before(ctx, topic, cluster.Position{}, cluster.Budget{Messages: n, Bytes: pageBytes})
	if err != nil {
		return cluster.Page{}, err
	}
	for !page.Begin && len(page.Messages) < n {
		room := pageBytes - bytesOf(page.Messages)
		if room <= 0 {
			break
		}
		front, err := s.node.Before(ctx, topic, page.Position, cluster.Budget{Messages: n - len(page.Messages), Bytes: room})
		if err != nil || front.Lost || len(front.Messages) == 0 && !front.Begin {
			break
		}
		page = cluster.Page{
			Messages: slices.Concat(front.Messages, page.Messages), // memory of others: not appended to
			Position: front.Position,
			Begin:    front.Begin,
		}
	}
	return page, nil
}

// bytesOf is what messages take of pageBytes.
func bytesOf(all []cluster.Message) (n int) {
	for i := range all {
		n += len(all[i].Data) + len(all[i].ID)
	}
	return n
}

// after reads the page behind a position.
func (s *Service) after(ctx context.Context, c *protocol.History) (*protocol.Page, error) {
	sub, err := s.node.Subscribe(ctx, c.Topic, cluster.Position(*c.After), nil)
	if err != nil {
		return nil, err
	}
	defer sub.Close()
	batch, err := sub.Next(ctx, cluster.Budget{Messages: c.Limit, Bytes: pageBytes})
	switch {
	case err != nil:
		return nil, err
	case batch.Lost:
		return nil, protocol.PositionLost
	}
	return s.pageOf(batch.Position.Epoch, batch.Messages, false, !batch.More), nil
}

func (s *Service) pageOf(epoch string, messages []cluster.Message, begin, end bool) *protocol.Page {
	p := &protocol.Page{Epoch: epoch, Messages: s.messagesOf(messages), Begin: begin, End: end}
	if n := len(messages); n > 0 {
		back, forward := protocol.Position(messages[0].Position()), protocol.Position(messages[n-1].Position())
		p.Back, p.Forward = &back, &forward
	}
	return p
}

// Author implements session.Backend.
func (b *backend) Author(topic string, target protocol.Target, done func(string, error)) {
	ask(b, func(ctx context.Context) (string, error) { return b.service.author(ctx, topic, target) }, done)
}

// author is who published a message that can be changed.
func (s *Service) author(ctx context.Context, topic string, target protocol.Target) (string, error) {
	found, err := s.broker.Read(ctx, topic, target.Offset, cluster.Budget{Messages: 1, Bytes: 1})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0 || found[0].Offset != target.Offset || found[0].ID != target.ID:
		return "", protocol.BadTarget
	}
	body, _ := bodyOf(found[0].Data)
	if protocol.Changes(body.Kind) || body.Kind == protocol.KindUnreadable {
		return "", protocol.BadTarget
	}
	return body.User, nil
}
