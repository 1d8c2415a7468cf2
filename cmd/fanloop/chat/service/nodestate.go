package service

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

// NodeState is how a node of the chat is, for operators.
type NodeState struct {
	Name     string `cbor:"1,keyasint" json:"name"`
	State    string `cbor:"2,keyasint" json:"state"` // ready, why not, or that there is no answer
	Sessions int    `cbor:"3,keyasint" json:"sessions"`
	Users    int    `cbor:"4,keyasint" json:"users"`
	Admin    string `cbor:"5,keyasint,omitempty" json:"admin,omitzero"` // URL of its page; empty: not known

	// Counted since the start, until Time. A rate is what two states of a node differ by.
	Published uint64 `cbor:"6,keyasint,omitempty" json:"published,omitzero"`
	Delivered uint64 `cbor:"7,keyasint,omitempty" json:"delivered,omitzero"`
	Time      int64  `cbor:"8,keyasint,omitempty" json:"time,omitzero"` // milliseconds of a clock that does not step; 0: an earlier version counts nothing
}

var began = time.Now()

// state is that of this node. Others may ask for it while this one begins.
func (s *Service) state() *NodeState {
	state := &NodeState{Name: s.name, State: "ready", Admin: adminURL(&s.config)}
	if err := s.Ready(); err != nil {
		state.State = err.Error()
	}
	state.Sessions, state.Users = s.registry.count()
	state.Published, state.Time = s.counts.stored.Value().Count, 1+time.Since(began).Milliseconds()
	for _, t := range s.topics {
		state.Delivered += t.Stats().Delivered
	}
	return state
}

// adminURL is where operators reach a node; empty where it listens on all its addresses, or
// on any port.
func adminURL(c *config.Config) string {
	host, port, err := net.SplitHostPort(c.Admin)
	if ip := net.ParseIP(host); err != nil || host == "" || port == "0" || ip != nil && ip.IsUnspecified() {
		return ""
	}
	scheme := "http"
	if c.AdminTLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + c.Admin + "/admin"
}

// States asks all nodes how they are, as long as ctx lasts. This one is the first.
func (s *Service) States(ctx context.Context) []NodeState {
	known := s.nodes.Names()
	question, _ := cbor.Marshal(&order{Act: actNode}) // of plain fields
	answers, _ := s.nodes.Ask(ctx, question)          // who has not answered is listed below
	var all []NodeState
	for _, a := range answers {
		one := outcome{Node: &NodeState{State: "runs an earlier version"}}
		_ = cbor.Unmarshal(a.Body, &one) // it is what it was otherwise
		one.Node.Name = a.Node
		all = append(all, *one.Node)
	}
	for _, name := range known {
		if !slices.ContainsFunc(all, func(n NodeState) bool { return n.Name == name }) {
			all = append(all, NodeState{Name: name, State: "no answer"})
		}
	}
	slices.SortFunc(all[1:], func(a, b NodeState) int { return strings.Compare(a.Name, b.Name) })
	return all
}
