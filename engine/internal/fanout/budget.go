package fanout

import (
	"container/heap"
	"math"
	"slices"
	"time"
)

const (
	// busyPart is the part of a loop's time that flushes of groups in debt have: one half.
	busyPart = 2
	// freeDebt is a debt with which nobody waits.
	freeDebt = time.Millisecond
	// leastAlarm is the least time between two looks at the groups that wait.
	leastAlarm = 2 * time.Millisecond
	// unknownCost is when the debt ends of a group whose flush is under way.
	unknownCost = time.Duration(math.MaxInt64 / 2)
)

// budget divides a part of a loop's time equally among the groups whose flushes took more
// than they had: each group is in debt by what its flushes cost, and while it is, it gets an
// equal share of that part of the time and may not flush. A group alone therefore waits
// twice the cost of its flush, two that are busy wait four times theirs, and one whose
// flushes are cheap or rare does not wait. Guarded by the fan's lock.
type budget struct {
	batching *Batching // immutable

	now   time.Duration // up to which time has been divided
	paid  time.Duration // what a group that was always in debt got so far
	debts debts
	held  []*group
}

// advance divides the time up to now.
func (b *budget) advance(now time.Duration) {
	for len(b.debts) > 0 {
		first, parts := b.debts[0], time.Duration(busyPart*len(b.debts))
		if got := (now - b.now) / parts; b.paid+got < first.due {
			b.paid += got
			b.now += got * parts
			return
		}
		b.now += (first.due - b.paid) * parts
		b.paid = first.due
		heap.Pop(&b.debts)
	}
	b.now = now
}

// open puts g, whose flush begins, in debt until its cost is known.
func (b *budget) open(g *group) {
	g.base, g.cost = b.paid+b.owes(g), 0
	b.owe(g, unknownCost)
}

// charge adds the cost of the flush of g to its debt, and finds out how long g waits now.
func (b *budget) charge(g *group) {
	b.owe(g, g.base+g.cost)
	g.delay = 0
	if owes := b.owes(g); owes > freeDebt {
		g.delay = min((owes-freeDebt)*time.Duration(busyPart*len(b.debts)), b.batching.MaxDelay)
	}
}

// owe has the debt of g end at due.
func (b *budget) owe(g *group, due time.Duration) {
	g.due = due
	switch {
	case g.place < 0 && due > b.paid:
		heap.Push(&b.debts, g)
	case g.place >= 0 && due > b.paid:
		heap.Fix(&b.debts, g.place)
	case g.place >= 0:
		heap.Remove(&b.debts, g.place)
	}
}

// forgive lets g, which has waited for as long as it may, owe freeDebt at most.
func (b *budget) forgive(g *group) {
	if b.owes(g) > freeDebt {
		b.owe(g, b.paid+freeDebt)
	}
}

// unhold takes g from those who wait.
func (b *budget) unhold(g *group) {
	last := len(b.held) - 1
	i := slices.Index(b.held, g)
	b.held[i], b.held[last] = b.held[last], nil
	b.held = b.held[:last]
}

// forget removes g, which has no parts any more.
func (b *budget) forget(g *group) {
	if g.state == groupHeld {
		b.unhold(g)
	}
	g.state = groupFree
	if g.place >= 0 {
		heap.Remove(&b.debts, g.place)
	}
}

// owes is the debt of g.
func (b *budget) owes(g *group) time.Duration {
	if g.place < 0 {
		return 0
	}
	return g.due - b.paid
}

// over reports whether g, which is held, has waited long enough.
func (b *budget) over(g *group) bool {
	return b.owes(g) <= freeDebt || b.now-g.began >= b.batching.MaxDelay
}

// next is when to look at the groups that are held again. There is one.
func (b *budget) next() time.Duration {
	at := b.held[0].began + b.batching.MaxDelay
	for _, g := range b.held[1:] {
		at = min(at, g.began+b.batching.MaxDelay)
	}
	if len(b.debts) > 0 {
		left := (b.owes(b.debts[0]) - freeDebt) * time.Duration(busyPart*len(b.debts))
		at = min(at, b.now+max(left, leastAlarm))
	}
	return at
}

// debts are the groups that are in debt, the one that has paid first at the front. It
// implements heap.Interface.
type debts []*group

func (d debts) Len() int           { return len(d) }
func (d debts) Less(i, j int) bool { return d[i].due < d[j].due }
func (d debts) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push implements heap.Interface.
func (d *debts) Push(x any) {
	g := x.(*group)
	g.place = len(*d)
	*d = append(*d, g)
}

// Pop implements heap.Interface.
func (d *debts) Pop() any {
	last := len(*d) - 1
	g := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	g.place = -1
	return g
}
