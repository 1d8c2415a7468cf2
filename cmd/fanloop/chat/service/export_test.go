package service

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// CrewSize is how many goroutines wait for the store.
const CrewSize = crewSize

// PriceSends has each send of the nodes that start from now on cost d, until the test ends.
func PriceSends(t *testing.T, d time.Duration) {
	before := sendCost
	sendCost = d
	t.Cleanup(func() { sendCost = before })
}

// AdviceFor is what the log says of a refused token.
func AdviceFor(reason auth.Reason) string { return advice[reason] }

// AdviceNow is what the log of a node says of it now.
func AdviceNow(s *Service, reason auth.Reason) string { return s.adviceFor(reason) }

// MarkersLive is how long the store keeps read positions; 0: for ever.
func MarkersLive(ctx context.Context, s *Service) (time.Duration, error) {
	bucket, err := s.markers.open(ctx)
	if err != nil {
		return 0, err
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return 0, err
	}
	return status.TTL(), nil
}

// Store stores a message as an earlier version may have: with a body that nobody checks.
func Store(ctx context.Context, s *Service, topic, id string, body []byte) (*protocol.Published, error) {
	return s.publish(ctx, topic, id, body)
}

// Memory is what the connections of a node make it hold.
func Memory(s *Service) engine.Memory { return s.server.Memory() }

// Break has questions to the store about a message panic, from before there are clients.
func Break(s *Service) { s.broker = broken{s.broker} }

type broken struct{ cluster.Broker }

func (broken) Read(context.Context, string, uint64, cluster.Budget) ([]cluster.Message, error) {
	panic("a fault of the program")
}

// Hold has all that is to ask the store wait in the channel from now on, until the test calls it.
func Hold(s *Service) <-chan func() {
	s.crew.close()
	s.crew.mu.Lock()
	defer s.crew.mu.Unlock()
	s.crew.jobs, s.crew.closed = make(chan func(), crewWaiting), false
	return s.crew.jobs
}

// Turned returns when the turns of a user's connections are over that were asked for before.
func Turned(ctx context.Context, s *Service, user string) {
	for _, c := range s.registry.of(user) {
		over := make(chan struct{})
		c.do(func() { close(over) })
		select {
		case <-over:
		case <-ctx.Done():
		}
	}
}

// Shared are the kinds of frames of a topic that a user's connections share with others,
// sorted.
func Shared(s *Service, user, topic string) (kinds []string) {
	for _, c := range s.registry.of(user) {
		for _, kind := range sharedKinds() {
			if kind != liveKind && slices.Contains(c.ws.Topics(), sharedTopic(c.encoding, kind, topic)) {
				kinds = append(kinds, kind)
			}
		}
	}
	slices.Sort(kinds)
	return kinds
}

// Share sends a frame to all who share a kind of frames of a topic.
func Share(s *Service, kind, topic string, f protocol.Frame) { s.share(kind, topic, f) }

// Opened counts what the subscriptions of a node hold: live ones, watches of presence, of keyed
// values and of notes, passive ones, and tails.
func Opened(s *Service) (n [6]int) {
	for _, t := range s.topics {
		stats := t.Stats()
		n[0] += stats.Live + stats.CatchingUp
	}
	n[1], n[3] = s.members.users(), s.notes.users()
	for _, k := range s.kinds {
		n[2] += k.feeds.users()
	}
	s.noted.mu.Lock()
	n[4] = len(s.noted.all)
	s.noted.mu.Unlock()
	s.tails.mu.Lock()
	n[5] = len(s.tails.all)
	s.tails.mu.Unlock()
	return n
}

// users are those of all watches.
func (f *feeds[W]) users() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range f.all {
		n += one.users
	}
	return n
}
