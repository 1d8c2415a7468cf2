package cluster

import (
	"context"
	"errors"
)

// Page is what Before returns.
type Page struct {
	// Messages are in order and without a hole; the last one is directly in front of
	// the position. They are shared: do not change them.
	Messages []Message
	// Position is what to bring for the page in front of this one.
	Position Position
	// Begin: nothing that is kept is in front of the page. It may have no messages.
	Begin bool
	// Lost: there is no page, because the message at the position is not kept or the
	// store is another one. Begin anew with the zero Position.
	Lost bool
}

// keptSpans is for how many topics a node remembers the distance of messages.
const keptSpans = 4096

// Before returns the messages in front of a position, or the last ones of the topic
// if at is zero. Those include what this Node has published, as soon as that was
// acknowledged; what others publish in a topic that is followed here comes as it does to
// subscribers, moments later, and where the store was not heard for two seconds it is asked
// first. It returns what is in memory, which may be less than the budget
// has room for; otherwise it makes one request to the broker ([Broker].ReadBack).
// A page that is not the beginning has one message at least.
func (n *Node) Before(ctx context.Context, topic string, at Position, max Budget) (Page, error) {
	if err := CheckTopic(topic); err != nil {
		return Page{}, err
	}
	max = max.or(n.config.Page)
	whole := at.IsZero() // the message at the position is one of the page
	messages, at, known, err := n.place(ctx, topic, at)
	switch {
	case err != nil:
		return Page{}, err
	case len(messages) > 0:
		messages = max.TakeLast(messages)
		return Page{Messages: messages, Position: messages[0].Position()}, nil
	case at.ID == "" && (whole || known): // the end of an empty topic
		return Page{Position: at, Begin: true}, nil
	case at.ID == "":
		lost, err := n.lostBegin(ctx, topic, at)
		return Page{Position: at, Begin: !lost && err == nil, Lost: lost}, err
	}
	page, none, err := n.readBack(ctx, topic, at, max)
	switch {
	case err != nil:
		return Page{}, err
	case known && none: // what the node has is more than what the store has
		return Page{Position: at, Begin: true}, nil
	case len(page) == 0:
		return Page{Lost: true}, nil
	}
	result := Page{Begin: len(page) == 1, Position: at}
	if whole {
		result.Messages = max.TakeLast(page)
	} else {
		result.Messages = page[:len(page)-1]
	}
	if len(result.Messages) > 0 {
		result.Position = result.Messages[0].Position()
	}
	return result, nil
}

// lostBegin reports whether a position without a message is not the begin of the topic: it has
// an offset, or is of another store.
func (n *Node) lostBegin(ctx context.Context, topic string, at Position) (bool, error) {
	if at.Offset != 0 {
		return true, nil
	}
	head, err := n.head(ctx, topic)
	return err == nil && head.Position.Epoch != at.Epoch, err
}

// place returns the messages in front of a position that are in memory, and the
// position: that of the end of the topic for the zero one. known: it is one of the chain,
// whether or not the store still has it.
func (n *Node) place(ctx context.Context, topic string, at Position) (messages []Message, _ Position, known bool, _ error) {
	n.mu.Lock()
	f, closed := n.feeds[topic], n.closed
	n.mu.Unlock()
	if closed {
		return nil, at, false, ErrClosed
	}
	if f != nil {
		if at.IsZero() {
			if err := f.readsEnd(ctx); err != nil {
				return nil, at, false, err
			}
		}
		if messages, known = f.inFront(&at); known {
			return messages, at, true, nil
		}
	}
	if !at.IsZero() {
		return nil, at, false, nil
	}
	head, err := n.head(ctx, topic)
	return nil, head.Position, false, err
}

// readsEnd returns when the chain, if it has begun, has what this node has published, and is
// current.
func (f *feed) readsEnd(ctx context.Context) error {
	f.mu.Lock()
	open := f.open
	f.mu.Unlock()
	if !open {
		return nil // what is asked for comes from the store
	}
	if err := f.readsOwn(ctx); err != nil {
		return err
	}
	return f.current(ctx)
}

// inFront returns the messages in front of a position that are in memory, and whether the
// position is one of the chain. The zero position becomes that of the end.
func (f *feed) inFront(at *Position) (messages []Message, known bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if at.IsZero() {
		if f.open {
			*at = f.position()
		}
		return f.retained(f.ring.messages), f.open
	}
	for _, r := range []*ring{&f.ring, &f.old} {
		messages, found := r.inFront(*at)
		if messages = f.retained(messages); len(messages) > 0 {
			return messages, true
		}
		known = known || found
	}
	return nil, known
}

// readBack reads a page that ends with the message at a position; nothing if that
// is not kept. none: nor is anything in front of it, in the same store.
func (n *Node) readBack(ctx context.Context, topic string, at Position, max Budget) (page []Message, none bool, err error) {
	var head Head
	for asked := false; ; {
		n.reads.Add(1)
		err = n.request(ctx, func(ctx context.Context) (err error) {
			page, err = n.broker.ReadBack(ctx, topic, at.Offset, n.guess(topic, at, max), max)
			return err
		})
		switch {
		case errors.Is(err, ErrBehind):
			if !sleep(ctx, firstRetry) {
				return nil, false, ctx.Err()
			}
		case err != nil:
			return nil, false, err
		case len(page) > 0 && page[len(page)-1].Position() == at:
			n.measure(topic, page)
			return page, false, nil
		case asked:
			return nil, len(page) == 0 && head.Position.Epoch == at.Epoch, nil
		default: // perhaps the broker has not heard of a new epoch: it does so now
			if head, err = n.head(ctx, topic); err != nil {
				return nil, false, err
			}
			asked = true
		}
	}
}

// guess is the offset at which a page that ends at a position may begin; 0 if
// nothing is known of the topic.
func (n *Node) guess(topic string, at Position, max Budget) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	span := n.spans[topic]
	if span == 0 || at.Offset == 0 {
		return 0
	}
	return at.Offset - min(span*uint64(max.Messages+max.Messages/4+1), at.Offset-1)
}

// measure keeps the distance of messages for the next guess. Where a guess was bad
// the page has one message, and what was known is no use.
func (n *Node) measure(topic string, page []Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := len(page) - 1
	if last < 2 {
		delete(n.spans, topic)
		return
	}
	if len(n.spans) >= keptSpans {
		clear(n.spans)
	}
	n.spans[topic] = max(1, (page[last].Offset-page[0].Offset)/uint64(last))
}
