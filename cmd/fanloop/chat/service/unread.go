package service

import (
	"cmp"
	"context"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// tails count what is unread. Topics with passive subscribers have a tail as long as
// those are there; that of others is read when somebody asks.
type tails struct {
	node  *cluster.Node
	limit int // no more is counted

	mu  sync.Mutex
	all map[string]*tail // guarded by mu
}

// tail are the last messages of a topic, without what is in them.
type tail struct {
	topic string
	users int // guarded by tails.mu

	mu   sync.Mutex
	at   cluster.Position // guarded by mu, as the rest; zero: not read yet
	last []written        // in the order of their offsets
}

// written is who wrote a message.
type written struct{ offset, author uint64 }

var authorSeed = maphash.MakeSeed()

func authorOf(user string) uint64 { return maphash.String(authorSeed, user) }

func newTails(node *cluster.Node, limit int) *tails {
	return &tails{node: node, limit: limit, all: make(map[string]*tail)}
}

// keep has a tail kept until release is called, or that of the topic which is kept already. It
// returns the one that is.
func (t *tails) keep(one *tail) (kept *tail, release func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := t.all[one.topic]; other != nil {
		one = other
	} else {
		t.all[one.topic] = one
	}
	one.users++
	return one, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.all, one.topic)
		}
	}
}

// find returns the tail that is kept, or a new one.
func (t *tails) find(topic string) *tail {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one := t.all[topic]; one != nil {
		return one
	}
	return &tail{topic: topic}
}

// read returns the tail of a topic as it is now. It waits for the store.
func (t *tails) read(ctx context.Context, topic string) (*tail, error) {
	one := t.find(topic)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.at.IsZero() {
		return one, t.begin(ctx, one)
	}
	return one, t.follow(ctx, one)
}

// begin reads the last messages. Under one.mu.
func (t *tails) begin(ctx context.Context, one *tail) error {
	var back cluster.Position
	one.last = nil
	for {
		page, err := t.node.Before(ctx, one.topic, back, cluster.Budget{Messages: t.limit, Bytes: pageBytes})
		if err != nil {
			one.at = cluster.Position{}
			return err
		}
		if back.IsZero() {
			one.at = page.Position
			if n := len(page.Messages); n > 0 {
				one.at = page.Messages[n-1].Position()
			}
		}
		one.last = append(writtenIn(page.Messages), one.last...)
		back = page.Position
		if page.Begin || page.Lost || len(page.Messages) == 0 || len(one.last) >= t.limit {
			return nil
		}
	}
}

// follow adds what came since. Under one.mu.
func (t *tails) follow(ctx context.Context, one *tail) error {
	sub, err := t.node.Subscribe(ctx, one.topic, one.at, nil)
	if err != nil {
		return err
	}
	defer sub.Close()
	for {
		batch, err := sub.Next(ctx, cluster.Budget{Messages: t.limit, Bytes: pageBytes})
		switch {
		case err != nil:
			return err
		case batch.Lost:
			return t.begin(ctx, one)
		}
		one.last = append(one.last, writtenIn(batch.Messages)...)
		one.last = slices.Clone(one.last[max(0, len(one.last)-t.limit):])
		if one.at = batch.Position; !batch.More {
			return nil
		}
	}
}

// writtenIn are the messages that count: edits, reactions, what cannot be read and the like do not.
func writtenIn(messages []cluster.Message) (all []written) {
	for i := range messages {
		if body, _ := bodyOf(messages[i].Data); body.Kind == protocol.KindMessage {
			all = append(all, written{messages[i].Offset, authorOf(body.User)})
		}
	}
	return all
}

// end is the position of the topic's end.
func (t *tail) end() protocol.Position {
	t.mu.Lock()
	defer t.mu.Unlock()
	return protocol.Position(t.at)
}

// unread is how many messages of others are behind the marker of a user; nil: not
// known, as without a marker.
func (t *tail) unread(user string, m *protocol.Marker) *int {
	if m == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	first := 0 // a marker of another epoch is in front of everything
	if m.Pos.Epoch == t.at.Epoch {
		i, found := slices.BinarySearchFunc(t.last, m.Pos.Offset, func(w written, offset uint64) int { return cmp.Compare(w.offset, offset) })
		if first = i; found {
			first++
		}
	}
	n, own := 0, authorOf(user)
	for _, w := range t.last[first:] {
		if w.author != own {
			n++
		}
	}
	return &n
}
