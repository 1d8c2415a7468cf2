package revoke

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	roster "github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

const (
	// forgetAfter is how long a silent node is waited for.
	forgetAfter = time.Minute
	// inboxSize is how many messages of others may wait. What is more is dropped, and
	// found out by the next beats.
	inboxSize = 1024
)

// channel is where nodes talk.
var channel = cluster.Channel{Kind: "chat-revoke", Topic: "all"}

// nodeID names a node until it ends.
type nodeID = roster.ID

// nodes are the other nodes, as this one knows them. others and what is below are guarded by
// the mutex of the list.
type nodes struct {
	list    *List
	id      nodeID
	inbox   chan []byte
	gap     chan struct{} // something may have been lost
	stop    chan struct{}
	done    chan struct{}
	acks    sync.WaitGroup // confirmations that wait for what ends
	unhear  func()
	ready   chan struct{} // closed when this node has what others have
	dropped atomic.Uint64

	others  roster.Roster[string, *entry] // with their names
	isReady bool
	beats   int  // sent so far
	asked   bool // somebody, since the last beat
}

// join begins to talk to others.
func (l *List) join() error {
	n := &nodes{
		list: l, inbox: make(chan []byte, inboxSize), gap: make(chan struct{}, 1),
		stop: make(chan struct{}), done: make(chan struct{}), ready: make(chan struct{}),
		id: roster.NewID(), others: roster.NewRoster[string, *entry](),
	}
	unhear, err := l.config.Bus.Listen(channel, n)
	if err != nil {
		return fmt.Errorf("revoke: %w", err)
	}
	n.unhear = unhear
	l.nodes = n
	go n.run()
	return nil
}

// leave tells others that this node ends, and ends.
func (n *nodes) leave() {
	close(n.stop)
	<-n.done
	n.acks.Wait()
	n.unhear()
	_ = n.list.config.Bus.Send(channel, encodeBye(n.id))
}

// Receive implements cluster.Receiver.
func (n *nodes) Receive(data []byte) {
	select {
	case n.inbox <- data:
	default:
		n.dropped.Add(1)
	}
}

// Gap implements cluster.Receiver.
func (n *nodes) Gap(error) {
	select {
	case n.gap <- struct{}{}:
	default:
	}
}

// run takes messages and sends beats, on one goroutine.
func (n *nodes) run() {
	defer close(n.done)
	tick := time.NewTicker(n.list.config.Every)
	defer tick.Stop()
	n.beat()
	for {
		select {
		case <-n.stop:
			return
		case data := <-n.inbox:
			n.take(data)
		case <-tick.C:
			n.beat()
		case <-n.gap:
			n.beat()
		}
	}
}

// beat tells others the sum of this list, and again what they have not confirmed.
func (n *nodes) beat() {
	l := n.list
	l.mu.Lock()
	l.sweep()
	n.others.ForgetSilent(forgetAfter)
	messages := [][]byte{encodeBeat(n.id, sumOf(&l.sums), l.config.Name)}
	for ack, w := range n.others.Waits() {
		messages = append(messages, encodeEntries(n.id, ack, []*entry{w.For}))
	}
	n.asked = false
	if n.beats++; n.beats > 3 && n.others.Len() == 0 {
		n.becomeReady() // there is nobody
	}
	l.mu.Unlock()
	for _, m := range messages {
		_ = l.config.Bus.Send(channel, m) // the next beat says it again
	}
}

// becomeReady is under mu.
func (n *nodes) becomeReady() {
	if !n.isReady {
		n.isReady = true
		close(n.ready)
	}
}

// tell sends a revocation to others, and returns when they have it.
func (n *nodes) tell(ctx context.Context, e *entry) error {
	n.list.mu.Lock()
	ack, w := n.others.Expect(e)
	n.list.mu.Unlock()
	err := n.list.config.Bus.Send(channel, encodeEntries(n.id, ack, []*entry{e}))
	if w == nil { // who is not known gets it after its first beat
		if err != nil {
			err = errors.Join(ErrUnconfirmed, err)
		}
		return err
	}
	select {
	case <-w.Done:
		return nil
	default:
	}
	select {
	case <-w.Done:
		return nil
	case <-ctx.Done():
	case <-n.stop:
	}
	n.list.mu.Lock()
	defer n.list.mu.Unlock()
	missing := roster.Unconfirmed(slices.Collect(maps.Values(n.others.GiveUp(ack, w))))
	return errors.Join(fmt.Errorf("%w: %w", ErrUnconfirmed, missing), err)
}

// take handles a message of another node.
func (n *nodes) take(data []byte) {
	m, ok := decode(data)
	if !ok || m.from == n.id {
		return
	}
	l := n.list
	l.mu.Lock()
	if m.kind == messageBye {
		n.others.Forget(m.from)
		l.mu.Unlock()
		return
	}
	var answers [][]byte
	switch m.kind {
	case messageBeat:
		n.others.Hear(m.from, m.name)
		switch {
		case m.sum == sumOf(&l.sums):
			n.becomeReady()
		case !n.asked: // one of those that differ, until the next beat
			n.asked = true
			answers = append(answers, encodeSheet(n.id, m.from, &l.sums))
		}
	case messageSheet:
		if m.to == n.id {
			answers = n.differing(m.sums)
		}
	case messageAck:
		if m.to == n.id {
			n.others.Confirm(m.ack, m.from)
		}
	}
	l.mu.Unlock()
	if m.kind == messageEntries {
		l.merge(m.entries)
		if m.ack != 0 {
			n.confirm(m)
		}
	}
	for _, a := range answers {
		_ = l.config.Bus.Send(channel, a) // the next beat finds out what is still missing
	}
}

// confirm tells another node that what it sent is in force, as soon as what that concerns here
// has ended.
func (n *nodes) confirm(m message) {
	open := n.list.open(m.entries)
	send := func() { _ = n.list.config.Bus.Send(channel, encodeAck(n.id, m.from, m.ack)) } // it asks again otherwise
	if len(open) == 0 {
		send()
		return
	}
	n.acks.Go(func() {
		for _, over := range open {
			select {
			case <-over:
			case <-n.stop:
				return
			}
		}
		send()
	})
}

// differing returns messages with the entries of all buckets that another node has
// not alike. Under mu.
func (n *nodes) differing(theirs *[buckets]uint64) (messages [][]byte) {
	var part []*entry
	size := 0
	for _, e := range n.list.entries {
		if b := e.bucket(); theirs[b] == n.list.sums[b] {
			continue
		}
		if size += len(e.name) + entryOverhead; size > maxMessage {
			messages = append(messages, encodeEntries(n.id, 0, part))
			part, size = nil, len(e.name)+entryOverhead
		}
		part = append(part, e)
	}
	if len(part) > 0 {
		messages = append(messages, encodeEntries(n.id, 0, part))
	}
	return messages
}

// Ready returns a channel that is closed when this node has the revocations of the
// others, or there are none. Let nobody connect before.
func (l *List) Ready() <-chan struct{} {
	if l.nodes == nil {
		ready := make(chan struct{})
		close(ready)
		return ready
	}
	return l.nodes.ready
}
