package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestHubHoldsWhoJoinedAndDidNotLeave(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h, joined := newHub[int](), map[int]bool{}
	for range 5000 {
		c := random.IntN(50)
		if joined[c] || random.IntN(4) == 0 {
			h.leave(c)
			delete(joined, c)
		} else {
			h.join(c)
			joined[c] = true
		}
		var got []int
		h.each(func(c int) { got = append(got, c) })
		if len(got) != len(joined) {
			t.Fatalf("%d conns, want %d", len(got), len(joined))
		}
		for _, c := range got {
			if !joined[c] || h.conns[h.place[c]] != c {
				t.Fatalf("%d is in, at %d", c, h.place[c])
			}
		}
	}
}

func TestQueueWritesEverythingInOrderFromOneGoroutine(t *testing.T) {
	const messages = 10000
	var got []int // not guarded: the race detector sees two writers
	done := make(chan struct{})
	q := queue[int]{drop: func() { t.Error("dropped") }}
	q.write = func(batch []int) error {
		got = append(got, batch...)
		if len(got) == messages {
			close(done)
		}
		return nil
	}
	for i := range messages {
		q.push(i, 1)
	}
	<-done
	if !slices.IsSorted(got) || got[0] != 0 || got[messages-1] != messages-1 {
		t.Fatal("the messages are not in the order they were pushed")
	}
}

func TestQueueDropsAClientThatLeavesTooMuchUnread(t *testing.T) {
	stalled, dropped := make(chan struct{}), make(chan struct{}, 100)
	q := queue[int]{
		write: func([]int) error { <-stalled; return nil },
		drop:  func() { dropped <- struct{}{} },
	}
	defer close(stalled)
	for range 16 {
		q.push(0, 1<<20)
	}
	if len(dropped) != 0 {
		t.Fatal("dropped at the limit")
	}
	q.push(0, 1<<20) // the first may be written, or waiting
	q.push(0, 1<<20)
	<-dropped
}

func TestQueueDropsAClientWhoseWriteFails(t *testing.T) {
	dropped := make(chan struct{})
	q := queue[int]{
		write: func([]int) error { return errors.New("reset") },
		drop:  func() { close(dropped) },
	}
	q.push(0, 1)
	<-dropped
	q.push(0, 1) // must not write again: a second drop would panic
}
