package service

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// Connection is one of a user, for backends and operators.
type Connection struct {
	Node     string   `cbor:"1,keyasint"`
	ID       uint64   `cbor:"2,keyasint"` // of the connection, on its node
	Address  string   `cbor:"3,keyasint"`
	Encoding string   `cbor:"4,keyasint"`
	Topics   []string `cbor:"5,keyasint"`
}

// act is what a node does, or looks up, for the server API.
type act uint8

const (
	actUnsubscribe act = 1 + iota // ends the subscriptions of a user to a topic
	actDisconnect                 // closes the connections of a user
	actUser                       // lists the connections of a user
	actTopic                      // counts the subscriptions of a topic
	actNode                       // says how the node is
)

// order is what all nodes are asked.
type order struct {
	Act   act    `cbor:"1,keyasint"`
	User  string `cbor:"2,keyasint,omitempty"`
	Topic string `cbor:"3,keyasint,omitempty"`
}

// outcome is what a node answers.
type outcome struct {
	Done        bool         `cbor:"1,keyasint"`
	Count       int          `cbor:"2,keyasint"`
	Connections []Connection `cbor:"3,keyasint,omitempty"`
	Node        *NodeState   `cbor:"4,keyasint,omitempty"`
}

// Rules are those of now.
func (s *Service) Rules() *rules.Rules { return s.rules.Load() }

// Limits are what clients are told.
func (s *Service) Limits() protocol.Limits { return s.session.Limits }

// Publish stores a message of a user, or of who the caller says. The command is one
// that was decoded. What it changes may be the message of anybody.
func (s *Service) Publish(ctx context.Context, user, name string, c *protocol.Publish) (*protocol.Published, error) {
	body, err := storedBody(&protocol.Body{User: user, Name: name, Kind: c.Kind, Target: c.Target, Data: c.Data})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if protocol.Changes(c.Kind) {
		if !s.keepsHistory(c.Topic) {
			return nil, protocol.Off
		}
		if _, err := s.author(ctx, c.Topic, *c.Target); err != nil {
			return nil, answer(err)
		}
	}
	s.published(c.Topic, user, len(c.Data))
	p, err := s.publish(ctx, c.Topic, storedID(user, c.ID), body)
	return p, answer(err)
}

// History reads a page.
func (s *Service) History(ctx context.Context, c *protocol.History) (*protocol.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	p, err := s.page(ctx, c)
	return p, answer(err)
}

// Members reads a page of users, as far as this node knows them.
func (s *Service) Members(c *protocol.GetPresence) (*protocol.Members, error) {
	m, err := s.membersOf(c)
	return m, answer(err)
}

// Topic returns where the history of a topic ends, and how many connections to all
// nodes are subscribed to it.
func (s *Service) Topic(ctx context.Context, topic string) (end protocol.Position, subscribers int, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	head, err := s.broker.Head(ctx, topic)
	if err != nil {
		return end, 0, answer(err)
	}
	all, err := s.orderAll(ctx, order{Act: actTopic, Topic: topic})
	return protocol.Position(head.Position), all.Count, err
}

// User returns the connections of a user to all nodes.
func (s *Service) User(ctx context.Context, user string) ([]Connection, error) {
	all, err := s.orderAll(ctx, order{Act: actUser, User: user})
	return all.Connections, err
}

// Unsubscribe ends the subscriptions of a user to a topic, on all nodes, and returns how
// many there were. When it returns nil, the user gets nothing of them any more, and no
// message that he published there is still on its way to the store. A node that does not
// answer within 5 s does it when it is heard again, and is named by a
// nodes.UnconfirmedError.
func (s *Service) Unsubscribe(ctx context.Context, user, topic string) (int, error) {
	all, err := s.orderAll(ctx, order{Act: actUnsubscribe, User: user, Topic: topic})
	return all.Count, err
}

// Disconnect closes the connections of a user to all nodes, and returns how many there
// were. Clients do not come back by themselves. Nodes that do not answer are treated as by
// Unsubscribe.
func (s *Service) Disconnect(ctx context.Context, user string) (int, error) {
	all, err := s.orderAll(ctx, order{Act: actDisconnect, User: user})
	return all.Count, err
}

// Silent are the names of nodes without which Unsubscribe and Disconnect return nil, as
// nodes.Nodes.Silent says.
func (s *Service) Silent() []string { return s.nodes.Silent() }

// changes reports whether nodes that do not answer have to do it later.
func (a act) changes() bool { return a == actUnsubscribe || a == actDisconnect }

// orderAll has all nodes do something, and joins what they answer.
func (s *Service) orderAll(ctx context.Context, o order) (all outcome, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	question, err := cbor.Marshal(&o)
	if err != nil {
		return all, err
	}
	ask := s.nodes.Ask
	if o.Act.changes() {
		ask = s.nodes.Order
	}
	answers, err := ask(ctx, question)
	var undone []string
	if silent, is := errors.AsType[*nodes.UnconfirmedError](err); is {
		undone = silent.Nodes
	}
	for _, a := range answers {
		var one outcome
		if cbor.Unmarshal(a.Body, &one) != nil || !one.Done {
			undone = append(undone, a.Node)
		}
		all.Count += one.Count
		all.Connections = append(all.Connections, one.Connections...)
	}
	if len(undone) > 0 {
		err = nodes.Unconfirmed(undone)
	}
	slices.SortFunc(all.Connections, func(a, b Connection) int {
		if byNode := strings.Compare(a.Node, b.Node); byNode != 0 {
			return byNode
		}
		return int(a.ID) - int(b.ID)
	})
	return all, err
}

// obey carries out what a node asks all nodes.
func (s *Service) obey(question []byte) []byte {
	var o order
	if cbor.Unmarshal(question, &o) != nil {
		return nil // of a later version: not done
	}
	ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
	defer cancel()
	var result outcome
	switch o.Act {
	case actUser:
		for _, c := range s.registry.of(o.User) {
			result.Connections = append(result.Connections, c.describe())
		}
		result.Count, result.Done = len(result.Connections), true
	case actNode:
		result.Node, result.Done = s.state(), true
	case actTopic:
		result.Count, result.Done = s.registry.subscribed(o.Topic), true
	case actUnsubscribe:
		s.taking.note(o.User)
		result.Count, result.Done = s.eachOf(ctx, o.User, func(c *conn) bool {
			return c.session.Unsubscribe(o.Topic, 0, protocol.Fail(nil, protocol.Forbidden, "the backend ended this subscription"))
		})
		result.Done = result.Done && s.writes.wait(ctx, o.User, o.Topic)
	case actDisconnect:
		s.taking.note(o.User)
		result.Count, result.Done = s.eachOf(ctx, o.User, func(c *conn) bool {
			c.session.Close(protocol.Forbidden, "the backend closed this connection")
			return true
		})
		result.Done = result.Done && s.writes.wait(ctx, o.User, "")
	}
	body, _ := cbor.Marshal(&result) // of plain fields
	return body
}

// eachOf runs do as a turn of each connection of a user, and counts where it was true.
// done is false if one did not get to it in time.
func (s *Service) eachOf(ctx context.Context, user string, do func(*conn) bool) (n int, done bool) {
	var mu sync.Mutex
	done = true
	var turns []chan struct{}
	all := s.registry.of(user)
	for _, c := range all {
		turn := make(chan struct{})
		turns = append(turns, turn)
		c.do(func() {
			defer close(turn)
			if do(c) {
				mu.Lock()
				n++
				mu.Unlock()
			}
		})
	}
	for i, turn := range turns {
		select {
		case <-turn:
		case <-all[i].ws.Done():
		case <-ctx.Done():
			done = false
		}
	}
	mu.Lock()
	defer mu.Unlock()
	return n, done
}

// describe says what a connection is. Any goroutine.
func (c *conn) describe() Connection {
	return Connection{
		Node: c.service.name, ID: c.ws.ID(), Address: c.remote.String(),
		Encoding: c.encoding.Subprotocol(), Topics: c.topics(),
	}
}

// topics are those that are delivered. Any goroutine.
func (c *conn) topics() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []string{}
	for d := c.deliveries; d != nil; d = d.next {
		all = append(all, d.topic)
	}
	slices.Sort(all)
	return all
}
