package admin

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/idempotency"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

const (
	maxTopics = 1000 // of a broadcast
	atATime   = 16   // publishes of a broadcast
)

// request is a call that was decoded, or is to be.
type request struct {
	node   Node
	caller rules.Caller
	key    func(topic string) string // an id of the idempotency key; nil: there is none
	// problem is what the caller gets to know of an error, which is logged where it is the
	// node's.
	problem func(error) *api.Problem
}

// call is one of the server API.
type call struct {
	path    string
	right   rules.Call
	changes bool // it may have an idempotency key
	asks    reflect.Type
	answers reflect.Type
	serve   func(ctx context.Context, r *request, body []byte) (any, error)
}

// of makes a call of a function from what is asked to what is answered.
func of[Q, A any](path string, right rules.Call, changes bool, do func(context.Context, *request, *Q) (*A, error)) call {
	return call{path, right, changes, reflect.TypeFor[Q](), reflect.TypeFor[A](),
		func(ctx context.Context, r *request, body []byte) (any, error) {
			asked := new(Q)
			if err := decode(body, asked); err != nil {
				return nil, err
			}
			return do(ctx, r, asked)
		}}
}

// calls are all.
var calls = []call{
	of("/v1/publish", rules.CallPublish, true, publish),
	of("/v1/broadcast", rules.CallPublish, true, broadcast),
	of("/v1/history", rules.CallHistory, false, history),
	of("/v1/presence", rules.CallPresence, false, members),
	of("/v1/topic", rules.CallTopicInfo, false, topicInfo),
	of("/v1/user", rules.CallUserInfo, false, userInfo),
	of("/v1/unsubscribe", rules.CallUnsubscribe, true, unsubscribe),
	of("/v1/disconnect", rules.CallDisconnect, true, disconnect),
	of("/v1/revoke", rules.CallRevoke, true, revocation),
}

// may returns nil if the caller may do it in a topic.
func (r *request) may(c rules.Call, topic string) error {
	return r.node.Rules().MayCall(r.caller, c, topic)
}

// id is that of a message: chosen, of the idempotency key, or by chance.
func (r *request) id(chosen, topic string) string {
	switch {
	case chosen != "":
		return chosen
	case r.key != nil:
		return r.key(topic)
	}
	return "r-" + rand.Text()
}

// checked is a command as the decoder of the protocol leaves it.
func checked[C protocol.Command](r *request, c C) (C, error) {
	return c, protocol.Check(c, r.node.Limits())
}

func publish(ctx context.Context, r *request, q *api.Publish) (*api.Published, error) {
	if err := errors.Join(r.may(rules.CallPublish, q.Topic), names.CheckUser(q.User)); err != nil {
		return nil, err
	}
	c, err := checked(r, &protocol.Publish{Topic: q.Topic, ID: r.id(q.ID, q.Topic), Kind: q.Kind, Target: q.Target, Data: q.Data})
	if err != nil {
		return nil, err
	}
	p, err := r.node.Publish(ctx, q.User, names.Display(q.Name), c)
	if err != nil {
		return nil, err
	}
	answer := &api.Published{ID: c.ID, Duplicate: p.Duplicate}
	if p.Pos != nil { // nil: the topic keeps no history
		answer.Pos = *p.Pos
	}
	return answer, nil
}

func broadcast(ctx context.Context, r *request, q *api.Broadcast) (*api.Results, error) {
	if len(q.Topics) == 0 || len(q.Topics) > maxTopics {
		return nil, protocol.Fail(nil, protocol.BadField, fmt.Sprintf("topics: want 1 to %d", maxTopics))
	}
	for _, topic := range q.Topics { // all are allowed, or nothing is published
		if err := r.may(rules.CallPublish, topic); err != nil {
			return nil, err
		}
	}
	all := &api.Results{Results: make([]api.Result, len(q.Topics))}
	places := make(chan struct{}, atATime)
	var work sync.WaitGroup
	for i, topic := range q.Topics {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			var p *api.Published
			err := survive.Do(func() (err error) {
				p, err = publish(ctx, r, &api.Publish{Topic: topic, User: q.User, Name: q.Name, Kind: q.Kind, Data: q.Data})
				return err
			})
			all.Results[i] = api.Result{Topic: topic, Published: p}
			if err != nil {
				all.Results[i].Problem = r.problem(err)
			}
		})
	}
	work.Wait()
	return all, nil
}

func history(ctx context.Context, r *request, q *api.History) (*api.Page, error) {
	if err := r.may(rules.CallHistory, q.Topic); err != nil {
		return nil, err
	}
	c, err := checked(r, &protocol.History{Topic: q.Topic, Before: q.Before, After: q.After, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	c.Limit = pageOf(r, c.Limit)
	p, err := r.node.History(ctx, c)
	if err != nil {
		return nil, err
	}
	return &api.Page{Epoch: p.Epoch, Messages: p.Messages, Back: p.Back, Forward: p.Forward, Begin: p.Begin, End: p.End}, nil
}

// pageOf is how many there are in a page of which so many are wanted.
func pageOf(r *request, wanted int) int {
	most := r.node.Limits().Page
	if wanted == 0 {
		return most
	}
	return min(wanted, most)
}

func members(_ context.Context, r *request, q *api.Presence) (*api.Members, error) {
	if err := r.may(rules.CallPresence, q.Topic); err != nil {
		return nil, err
	}
	c, err := checked(r, &protocol.GetPresence{Topic: q.Topic, After: q.After, Limit: q.Limit})
	if err != nil {
		return nil, err
	}
	c.Limit = pageOf(r, c.Limit)
	m, err := r.node.Members(c)
	if err != nil {
		return nil, err
	}
	return &api.Members{Count: m.Count, Members: m.Members, End: m.End}, nil
}

func topicInfo(ctx context.Context, r *request, q *api.Topic) (*api.TopicInfo, error) {
	if err := r.may(rules.CallTopicInfo, q.Topic); err != nil {
		return nil, err
	}
	end, subscribers, err := r.node.Topic(ctx, q.Topic)
	return &api.TopicInfo{Topic: q.Topic, Subscribers: subscribers, End: end}, err
}

func userInfo(ctx context.Context, r *request, q *api.User) (*api.UserInfo, error) {
	if err := errors.Join(r.may(rules.CallUserInfo, ""), names.CheckUser(q.User)); err != nil {
		return nil, err
	}
	all, err := r.node.User(ctx, q.User)
	info := &api.UserInfo{User: q.User, Connections: make([]api.Connection, 0, len(all))}
	for _, c := range all {
		info.Connections = append(info.Connections, api.Connection(c))
	}
	return info, err
}

func unsubscribe(ctx context.Context, r *request, q *api.Unsubscribe) (*api.Ended, error) {
	if err := errors.Join(r.may(rules.CallUnsubscribe, q.Topic), names.CheckUser(q.User)); err != nil {
		return nil, err
	}
	n, err := r.node.Unsubscribe(ctx, q.User, q.Topic)
	return &api.Ended{Ended: n, Silent: r.node.Silent()}, err
}

func disconnect(ctx context.Context, r *request, q *api.Disconnect) (*api.Ended, error) {
	if err := errors.Join(r.may(rules.CallDisconnect, ""), names.CheckUser(q.User)); err != nil {
		return nil, err
	}
	n, err := r.node.Disconnect(ctx, q.User)
	return &api.Ended{Ended: n, Silent: r.node.Silent()}, err
}

func revocation(ctx context.Context, r *request, q *api.Revoke) (*api.Revoked, error) {
	if err := r.may(rules.CallRevoke, ""); err != nil {
		return nil, err
	}
	var all []revoke.Revocation
	for kind, name := range map[revoke.Kind]string{revoke.User: q.User, revoke.Session: q.Session, revoke.Token: q.Token} {
		if name != "" {
			// A call that is repeated revokes what was issued up to the first one.
			all = append(all, revoke.Revocation{Kind: kind, Name: name, Before: idempotency.Begun(ctx)})
		}
	}
	if len(all) != 1 {
		return nil, protocol.Fail(nil, protocol.BadField, "want one of user, session and token")
	}
	return new(api.Revoked), r.node.Revoke(ctx, all[0])
}
