package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// Who has a right without a grant.
type Who uint8

const (
	// Nobody has it, whatever a token or a hook grants.
	Nobody Who = iota
	// Granted: who has a grant from a token or a hook.
	Granted
	// Subscribers: who is subscribed to the topic now, and who has a grant.
	Subscribers
	// Users: everybody who is connected.
	Users
)

var whoNames = []string{"nobody", "granted", "subscribers", "users"}

// String is the name of w.
func (w Who) String() string { return whoNames[w] }

// WhoNames are the names that ParseWho takes.
func WhoNames() []string { return append([]string(nil), whoNames...) }

// ParseWho returns the Who of a name.
func ParseWho(name string) (Who, error) {
	for i, known := range whoNames {
		if name == known {
			return Who(i), nil
		}
	}
	return 0, fmt.Errorf("rules: %.32q: want %s", name, strings.Join(whoNames, ", "))
}

// Namespace has the rules of the topics that begin with its name and a colon. The
// zero value allows nothing; Default is a good start.
type Namespace struct {
	// HistorySize is how many messages a topic keeps. 0: none.
	HistorySize int
	// HistoryAge is how long a message is kept. 0: none is.
	HistoryAge time.Duration
	// Presence is how much of presence clients may see.
	Presence presence.Level
	// ReadPositions: who may see presence sees how far others have read.
	ReadPositions bool
	// Who has each right. A right that is not there has Nobody.
	Who map[Right]Who
}

// Default is a namespace where users talk freely: everybody may subscribe, and who is
// subscribed may publish, read history, see presence, and change own messages.
// Changing messages of others takes a grant.
func Default() Namespace {
	return Namespace{
		HistorySize:   10000,
		HistoryAge:    7 * 24 * time.Hour,
		Presence:      presence.Full,
		ReadPositions: true,
		Who: map[Right]Who{
			Subscribe: Users,
			Publish:   Subscribers,
			Signal:    Subscribers,
			Presence:  Subscribers,
			History:   Subscribers,
			React:     Subscribers,
			Edit:      Subscribers,
			Delete:    Subscribers,
			Moderate:  Granted,
		},
	}
}

// CheckGranted returns a [names.Error] if rights cannot be granted in the namespace of that
// name. The name of the default one is empty.
func CheckGranted(name string) error {
	if name == "" {
		return nil
	}
	return names.CheckNamespace(name)
}

// KeepsHistory reports whether topics store anything.
func (n *Namespace) KeepsHistory() bool { return n.HistorySize > 0 && n.HistoryAge > 0 }

// ShowsReadPositions reports whether clients see how far others have read.
func (n *Namespace) ShowsReadPositions() bool {
	return n.ReadPositions && n.KeepsHistory() && n.Presence != presence.Off
}

// check returns an error that names the wrong field.
func (n *Namespace) check() error {
	switch {
	case n.HistorySize < 0:
		return fmt.Errorf("history size %d: want 0 or more", n.HistorySize)
	case n.HistoryAge < 0:
		return fmt.Errorf("history age %v: want 0 or more", n.HistoryAge)
	case n.KeepsHistory() != (n.HistorySize > 0 || n.HistoryAge > 0):
		return fmt.Errorf("history size %d and age %v: set both, or none", n.HistorySize, n.HistoryAge)
	case n.Presence > presence.Full:
		return fmt.Errorf("presence level %d is unknown", n.Presence)
	}
	for right, who := range n.Who {
		if right == 0 || right&(right-1) != 0 || Rights(right)&^AllRights != 0 || who > Users {
			return fmt.Errorf("who has right %d: %d is unknown", right, who)
		}
	}
	if n.Who[Signal] == Users {
		return fmt.Errorf("signal: users: keyed values and read positions are those of subscribers; want nobody, granted or subscribers")
	}
	if n.Who[Subscribe] == Subscribers {
		return fmt.Errorf("subscribe: subscribers: nobody could begin; want nobody, granted or users")
	}
	return nil
}
