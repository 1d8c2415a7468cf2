package mirror

import (
	"container/heap"
	"time"
)

// Task is something to do at a time. It is in the agenda of one Group, or in none.
type Task struct {
	Do    func(now time.Time) // under the Group's mutex
	at    time.Time
	place int // in the heap, from 1 on; 0: not in it
}

// agenda is a heap of tasks, the next one first.
type agenda []*Task

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].place, a[j].place = i+1, j+1
}

func (a *agenda) Push(x any) {
	t := x.(*Task)
	*a = append(*a, t)
	t.place = len(*a)
}

func (a *agenda) Pop() any {
	last := len(*a) - 1
	t := (*a)[last]
	(*a)[last] = nil
	*a = (*a)[:last]
	t.place = 0
	return t
}

// set makes t due at a time; the zero time takes it out.
func (a *agenda) set(t *Task, at time.Time) {
	switch {
	case at.IsZero() && t.place > 0:
		heap.Remove(a, t.place-1)
	case at.IsZero():
	case t.place > 0:
		t.at = at
		heap.Fix(a, t.place-1)
	default:
		t.at = at
		heap.Push(a, t)
	}
}

// run does what is due and returns when the next task is; zero: there is none.
func (a *agenda) run(now time.Time) time.Time {
	for len(*a) > 0 && !(*a)[0].at.After(now) {
		t := heap.Pop(a).(*Task)
		t.Do(now)
	}
	if len(*a) == 0 {
		return time.Time{}
	}
	return (*a)[0].at
}

// sooner returns the earlier of two times, of which zero is never.
func sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func due(at, now time.Time) bool { return !at.IsZero() && !at.After(now) }
