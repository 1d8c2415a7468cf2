package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Errors that May and MayCall return, as they are or wrapped.
var (
	// ErrDenied: the rules do not allow it. To ask again does not help.
	ErrDenied = errors.New("rules: not allowed")
	// ErrNamespace: the topic's namespace is not configured.
	ErrNamespace = errors.New("rules: there is no such namespace")
	// ErrNotSubscribed: the command is for subscribers. Subscribe first.
	ErrNotSubscribed = errors.New("rules: subscribe to the topic first")
	// ErrNoHistory: the topic stores nothing.
	ErrNoHistory = errors.New("rules: the topic keeps no history")
)

// Rules are those of all namespaces. They do not change; replace the whole to change
// one.
type Rules struct {
	namespaces map[string]*Namespace
}

// New returns the rules of the namespaces by their names; "" is the default one. It
// may be missing, and then every topic needs a namespace.
func New(namespaces map[string]Namespace) (*Rules, error) {
	r := &Rules{make(map[string]*Namespace, len(namespaces))}
	for name, n := range namespaces {
		if CheckGranted(name) != nil {
			return nil, fmt.Errorf("rules: namespace %.80q: want a-z, 0-9, - and _, at most %d of them", name, names.MaxNamespace)
		}
		if err := n.check(); err != nil {
			return nil, fmt.Errorf("rules: namespace %q: %w", name, err)
		}
		who := make(map[Right]Who, len(n.Who))
		for right, w := range n.Who {
			who[right] = w
		}
		n.Who = who
		r.namespaces[name] = &n
	}
	return r, nil
}

// Namespace returns the rules of a topic, which are not to be changed.
func (r *Rules) Namespace(topic string) (*Namespace, error) {
	if err := names.CheckTopic(topic); err != nil {
		return nil, err
	}
	n := r.namespaces[names.Namespace(topic)]
	if n == nil {
		return nil, ErrNamespace
	}
	return n, nil
}

// PresenceLevel is the level of a topic, as presence.Config.Level wants it.
func (r *Rules) PresenceLevel(topic string) presence.Level {
	n, err := r.Namespace(topic)
	if err != nil || n.Presence == presence.Default {
		return presence.Off
	}
	return n.Presence
}

// Retention is how much of a topic is kept, as cluster.Config.Retention wants it.
func (r *Rules) Retention(topic string) cluster.Retention {
	n, err := r.Namespace(topic)
	if err != nil {
		return cluster.Retention{}
	}
	return cluster.Retention{Messages: n.HistorySize, Age: n.HistoryAge}
}

// DefaultName is how settings, tokens and answers of hooks call the default namespace. No other
// has this name.
const DefaultName = "default"

// Grants are the rights that a token or a hook gives, besides those of the rules.
type Grants struct {
	Topics map[string]Rights
	// Namespaces are by their names. The default one is DefaultName, or empty.
	Namespaces map[string]Rights
}

// In are the rights granted in a topic.
func (g *Grants) In(topic string) Rights {
	if g == nil {
		return 0
	}
	space := names.Namespace(topic)
	granted := g.Topics[topic] | g.Namespaces[space]
	if space == "" {
		granted |= g.Namespaces[DefaultName]
	}
	return granted
}

// Unknown are the namespaces in which g grants rights and that do not exist, sorted.
func (r *Rules) Unknown(g *Grants) (all []string) {
	add := func(name string) {
		if name == DefaultName {
			name = ""
		}
		if r.namespaces[name] == nil {
			all = append(all, cmp.Or(name, DefaultName))
		}
	}
	for name := range g.Namespaces {
		add(name)
	}
	for topic := range g.Topics {
		add(names.Namespace(topic))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Subject is who asks.
type Subject struct {
	// User is never empty: who has no name has no rights.
	User string
	// Grants are from the connection's token or hook. They may be nil.
	Grants *Grants
	// Topic are the rights in this topic, from a topic token or the subscribe hook.
	Topic Rights
	// Subscribed: to this topic, now.
	Subscribed bool
}

// Request is what a subject asks for.
type Request struct {
	Command Command
	Topic   string
	// Author is who wrote the message that DoEdit and DoDelete are about. Where it is
	// not known, leave it empty: then it takes the right to moderate.
	Author string
}

// May returns nil if the subject may do it, otherwise names.ErrName, ErrNamespace,
// ErrNoHistory, ErrNotSubscribed or ErrDenied, wrapped. Ask again for each command:
// rights end with subscriptions and tokens.
func (r *Rules) May(s Subject, q Request) error {
	n, err := r.Namespace(q.Topic)
	if err != nil {
		return err
	}
	if s.User == "" || q.Command == 0 || q.Command >= afterLastCommand {
		return ErrDenied
	}
	d := &demands[q.Command]
	if d.always {
		return nil
	}
	wanted := d.rights
	if d.authored && q.Author != s.User {
		wanted = d.others
	}
	if err := n.has(s, q.Topic, wanted); err != nil {
		return fmt.Errorf("%w: %s", err, d.name)
	}
	switch {
	case d.subscribed && !s.Subscribed:
		return ErrNotSubscribed
	case d.stored && !n.KeepsHistory():
		return ErrNoHistory
	case wanted&Rights(Presence) != 0 && (n.Presence == presence.Off || n.Presence == presence.Default):
		return fmt.Errorf("%w: %s", ErrDenied, d.name)
	}
	return nil
}

// has reports as nil that the subject has all of wanted.
func (n *Namespace) has(s Subject, topic string, wanted Rights) error {
	granted := s.Topic | s.Grants.In(topic)
	for i := range rightNames {
		right := Right(1 << i)
		if wanted&Rights(right) == 0 {
			continue
		}
		switch who := n.Who[right]; {
		case who == Nobody:
			return ErrDenied
		case granted.Has(Rights(right)) || who == Users || who == Subscribers && s.Subscribed:
		case who == Subscribers:
			return ErrNotSubscribed
		default:
			return ErrDenied
		}
	}
	return nil
}
