package rules

import (
	"fmt"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
)

// Call is what a backend asks for over the server API.
type Call uint8

const (
	_ Call = iota
	// CallPublish publishes to one or many topics.
	CallPublish
	// CallHistory reads history.
	CallHistory
	// CallPresence reads who is in a topic.
	CallPresence
	// CallTopicInfo reads the state of a topic.
	CallTopicInfo
	// CallUserInfo reads where a user is connected.
	CallUserInfo
	// CallUnsubscribe ends subscriptions of a user.
	CallUnsubscribe
	// CallDisconnect closes connections of a user.
	CallDisconnect
	// CallRevoke revokes a user, a token or a session.
	CallRevoke
	afterLastCall
)

var callNames = [afterLastCall]string{"", "publish", "history", "presence", "topic-info", "user-info", "unsubscribe", "disconnect", "revoke"}

// Calls are all that a backend may ask for.
func Calls() (all []Call) {
	for c := CallPublish; c < afterLastCall; c++ {
		all = append(all, c)
	}
	return all
}

// String is the name of the call.
func (c Call) String() string {
	if c == 0 || c >= afterLastCall {
		return fmt.Sprintf("Call(%d)", uint8(c))
	}
	return callNames[c]
}

// ParseCall returns the call of a name.
func ParseCall(name string) (Call, error) {
	for _, c := range Calls() {
		if c.String() == name {
			return c, nil
		}
	}
	return 0, fmt.Errorf("rules: %.32q is no call: want one of %v", name, Calls())
}

// inTopic reports whether a call is about a topic.
func (c Call) inTopic() bool { return c <= CallTopicInfo || c == CallUnsubscribe }

// Caller is a backend that uses the server API. The zero value may do nothing.
type Caller struct {
	// Name is for logs and idempotency keys. It is never empty.
	Name string
	// Calls are what it may ask for.
	Calls map[Call]bool
	// Namespaces bounds the topics to those of some namespaces; nil: no bound. Calls
	// that are about users, and not about a topic, are refused to callers with a bound.
	Namespaces map[string]bool
}

// MayCall returns nil if the caller may do it, otherwise names.ErrName, ErrNamespace,
// ErrNoHistory or ErrDenied, wrapped. topic is empty for calls about users.
func (r *Rules) MayCall(who Caller, c Call, topic string) error {
	if who.Name == "" || c == 0 || c >= afterLastCall || !who.Calls[c] {
		return fmt.Errorf("%w: %s", ErrDenied, c)
	}
	if !c.inTopic() {
		if who.Namespaces != nil || topic != "" {
			return fmt.Errorf("%w: %s", ErrDenied, c)
		}
		return nil
	}
	n, err := r.Namespace(topic)
	switch {
	case err != nil:
		return err
	case who.Namespaces != nil && !who.Namespaces[names.Namespace(topic)]:
		return fmt.Errorf("%w: %s", ErrDenied, c)
	case c == CallHistory && !n.KeepsHistory():
		return ErrNoHistory
	}
	return nil
}
