package live

import (
	"context"
	"errors"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// pump publishes the messages of one topic to those who are live, in order.
type pump struct {
	topic *topic // immutable
	turn

	// Guarded by the mutex of turn.
	from    cluster.Position // where to begin; zero: at the end
	omitted bool             // the message at from was left out, and nobody knows yet
}

// batchesPerTurn is how many batches or pages are sent before others have a turn.
const batchesPerTurn = 4

func (p *pump) wakeUp() { p.wake(p.topic.topics.fast, p) }

// run publishes what is in memory.
func (p *pump) run() {
	sub := p.begin()
	if sub == nil || !p.tell() {
		return
	}
	for range batchesPerTurn {
		b, ok := sub.Have(cluster.Budget{})
		if !ok {
			p.topic.ask(p)
			return
		}
		if !p.deliver(b) {
			return
		}
		if !b.More {
			p.rest(p.topic.topics.fast, p, false)
			return
		}
	}
	p.rest(p.topic.topics.fast, p, true)
}

// begin returns the pump's subscription; nil if it has ended.
func (p *pump) begin() *cluster.Subscription {
	p.mu.Lock()
	if p.phase != queued {
		p.mu.Unlock()
		return nil
	}
	p.phase, p.again = running, false
	var err error
	if p.sub == nil {
		p.sub, err = p.topic.topics.node.Join(p.topic.name, p.from, p.wakeUp)
	}
	sub := p.sub
	p.mu.Unlock()
	if err != nil {
		p.topic.topics.over(err)
		return nil
	}
	return sub
}

// tell publishes that a message was left out, and reports whether the pump goes on.
func (p *pump) tell() bool {
	p.mu.Lock()
	omitted, at := p.omitted, p.from
	p.omitted = false
	p.mu.Unlock()
	return !omitted || p.goesOn(p.restart(at, true))
}

// goesOn reports whether the pump goes on after an error. If not, it has seen to what
// follows.
func (p *pump) goesOn(err error) bool {
	switch {
	case err == nil:
		return true
	case err == errOmitted:
	default: // what the encoder returned is no message: nobody can get it
		t := p.topic.topics
		t.over(err)
		p.rest(t.fast, p, false)
	}
	return false
}

// deliver publishes a batch, and reports whether the pump goes on.
func (p *pump) deliver(b cluster.Batch) bool {
	top := p.topic
	if b.Position.IsZero() {
		return true // not open yet
	}
	var err error
	if b.Lost || top.begins() { // there are no messages then
		err = p.restart(b.Position, b.Lost)
	}
	for i := range b.Messages {
		if err != nil {
			break
		}
		err = p.publish(&b.Messages[i])
	}
	return p.goesOn(err)
}

// errOmitted is returned where the encoder did not return: the pump is queued again.
var errOmitted = errors.New("the encoder did not return")

// publish publishes one message, encoded if somebody is live.
func (p *pump) publish(m *cluster.Message) error {
	err := p.topic.publish(m, nil)
	if err != errNotEncoded {
		return err
	}
	frame, returned := p.encode(m)
	if !returned {
		return errOmitted
	}
	return p.topic.publish(m, &frame)
}

// restart has the topic go on behind a position.
func (p *pump) restart(at cluster.Position, lost bool) error {
	err := p.topic.restart(at, lost, nil)
	if err != errNotEncoded {
		return err
	}
	page, returned := p.encodeReset(at)
	if !returned {
		return errOmitted
	}
	return p.topic.restart(at, lost, &page)
}

func (p *pump) place() uint64 {
	p.topic.mu.Lock()
	defer p.topic.mu.Unlock()
	return p.topic.at.Offset
}

func (p *pump) ask(ctx context.Context) error {
	p.mu.Lock()
	sub := p.sub
	p.mu.Unlock()
	if sub == nil {
		return nil
	}
	b, err := sub.Next(ctx, cluster.Budget{})
	if err == nil {
		p.deliver(b)
	}
	p.topic.topics.closedNode(&p.turn, err)
	return err
}

func (p *pump) resumed()            { p.resume(p.topic.topics.fast, p) }
func (p *pump) phased(x phase) bool { return p.become(x) }
