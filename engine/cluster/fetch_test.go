package cluster

import (
	"context"
	"testing"
)

// stored is a broker with the messages of one topic.
type stored struct {
	Broker // nil: nothing else is asked
	all    []Message
}

func (b stored) Follow(string, Listener) (func(), error) { return func() {}, nil }

func (b stored) Head(context.Context, string) (Head, error) {
	return Head{Position: b.all[len(b.all)-1].Position(), First: 1, Through: uint64(len(b.all))}, nil
}

func (b stored) Read(_ context.Context, _ string, from uint64, _ Budget) ([]Message, error) {
	return b.all[from-1:], nil
}

// C14: who finds that history has to be read, and comes to it when another reader has
// ended, does not read it again.
func TestWhatWasReadMeanwhileIsNotReadAgain(t *testing.T) {
	n := NewNode(stored{all: []Message{message(1, "a"), message(2, "b"), message(3, "c")}}, Config{})
	defer n.Close()
	join := func() *Subscription {
		s, err := n.Subscribe(t.Context(), "room", Position{"e", 1, "a"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, where, err := s.look(n.config.Page); where != before || err != nil {
			t.Fatalf("history need not be read: %v, %v", where, err)
		}
		return s
	}
	late, first := join(), join()
	read := func(s *Subscription) {
		if batch, err := s.Next(t.Context(), Budget{}); err != nil || len(batch.Messages) != 2 {
			t.Errorf("%+v, %v", batch, err)
		}
	}
	read(first)
	if _, _, err := late.fetch(t.Context()); err != nil {
		t.Error(err)
	}
	read(late)
	if reads := n.Stats().Reads; reads != 1 {
		t.Errorf("%d reads of history, want 1", reads)
	}
}
