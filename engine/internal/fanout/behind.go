package fanout

import "github.com/fanloop-go/fanloop/loop"

// uncounted is how much may wait for the loop before it is in the ledger: a loop that
// is not behind has it for a moment.
const uncounted = 64 << 10

// count puts msg, which waits for the loop from now on, into the ledger.
func (f *fan) count(msg *Message) {
	f.waiting += msg.weight()
	if msg.counted = f.waiting > uncounted; msg.counted {
		f.behind.Store(int64(f.waiting))
		f.loop.Refer(msg.Frames.Plain())
		f.loop.Hold(loop.UseMessages, messageSize+msg.ownKey())
	}
}

// discount takes back what count did.
func (f *fan) discount(msgs []Message) {
	for i := range msgs {
		msg := &msgs[i]
		f.waiting -= msg.weight()
		if msg.counted {
			f.loop.Forget(msg.Frames.Plain())
			f.loop.Hold(loop.UseMessages, -messageSize-msg.ownKey())
		}
	}
	switch {
	case f.waiting > uncounted:
		f.behind.Store(int64(f.waiting))
	case f.behind.Load() > 0:
		f.behind.Store(0)
	}
}

// refuses reports whether the loop is so far behind that msg is not to wait for it.
func (f *fan) refuses(p *part, msg *Message) bool {
	limit, weight := p.slowRules().Limit, msg.weight()
	switch {
	case p.refusing: // until the gap is in its place
		return true
	case limit > 0 && len(p.pending) > 0 && p.weight+weight > limit:
		return true
	case f.waiting <= uncounted || !f.spent(weight):
		return false
	case len(p.pending) == 0 && p.nextGap == 0:
		f.enqueue(p) // for the gap
	}
	return true
}

// spent reports whether the budget has no weight more for what waits for the loop, which
// may have half of it: the loop cannot give up the rest while it is held up.
func (f *fan) spent(weight int) bool {
	budget := f.loop.Budget()
	return budget > 0 && f.waiting+weight > budget/2 || f.loop.Spent(weight)
}
