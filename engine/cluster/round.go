package cluster

import (
	"context"
	"time"
)

// rounds is the state of the comparisons of a feed with its broker, of which one
// runs at a time. Guarded by the feed's mutex.
type rounds struct {
	wanted  bool
	running bool          // queued with the node, made by one of its workers, or waits to be tried again
	retry   time.Duration // of the last one that failed; 0: it did not
	begun   uint64        // rounds so far
	done    uint64        // the last one that succeeded
	asked   time.Time     // when the last one began
	proof   time.Time     // when the last one began that succeeded; zero: none did
	changed chan struct{} // closed and replaced after each that succeeds
}

const (
	firstRetry = 10 * time.Millisecond
	lastRetry  = time.Second
)

// proven is how old the proof may be that a chain has everything, where its end is answered
// from memory.
const proven = 2 * time.Second

// want asks for a round that begins from now on. Under mu.
func (f *feed) want() {
	f.linked = false
	f.wanted = true
	if !f.running && !f.closed {
		f.running = f.node.enqueue(f)
	}
}

// wantOpen asks for the first round, unless one is under way or will be tried again. Under mu.
func (f *feed) wantOpen() {
	if !f.open && !f.running {
		f.want()
	}
}

// run makes rounds while they are wanted. After one that failed the feed is queued
// again in a while.
func (f *feed) run() {
	for f.begin() {
		if f.round(f.ctx) != nil {
			f.postpone()
			return
		}
		f.succeed()
	}
}

// begin starts a round, if one is wanted.
func (f *feed) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.wanted || f.closed || f.ctx.Err() != nil {
		f.running = false
		return false
	}
	f.wanted = false
	f.begun++
	f.asked = time.Now()
	return true
}

func (f *feed) postpone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = true
	f.retry = min(max(2*f.retry, firstRetry), lastRetry)
	time.AfterFunc(jitter(f.retry), func() { f.node.enqueue(f) })
}

// succeed ends a round. Live messages are appended from now on, unless another
// round is wanted.
func (f *feed) succeed() {
	f.mu.Lock()
	if !f.link() {
		f.wanted = true
	}
	f.linked = !f.wanted
	f.retry = 0
	f.done, f.proof = f.begun, f.asked
	close(f.changed)
	f.changed = make(chan struct{})
	f.wakeAndUnlock()
}

// fresh returns when a round has ended that began after the call.
func (f *feed) fresh(ctx context.Context) error {
	f.mu.Lock()
	ticket := f.begun + 1
	f.want()
	return f.awaitAndUnlock(ctx, func() bool { return f.done >= ticket })
}

// current returns when the chain has everything that was stored before the call, as far as that
// is known: at once while live messages are appended and the store was heard a moment ago, by a
// round of it or by the broker. Otherwise the store is asked. All who wait share the answer.
func (f *feed) current(ctx context.Context) error {
	f.mu.Lock()
	if f.open && f.linked && f.isProven(f.proof) {
		f.mu.Unlock()
		return nil
	}
	ticket := f.begun
	if f.wanted || !f.running || !f.isProven(f.asked) { // the one under way, if any, does not do
		ticket++
		f.want()
	}
	return f.awaitAndUnlock(ctx, func() bool { return f.done >= ticket })
}

// isProven reports whether everything was here a moment ago: at a time, or as the broker says.
func (f *feed) isProven(at time.Time) bool {
	now := time.Now()
	return now.Sub(at) < proven || now.Sub(f.node.broker.Heard(f.topic)) < proven
}

// readsOwn returns when the chain has what this node has published before the call and was
// acknowledged, or has begun anew behind it.
func (f *feed) readsOwn(ctx context.Context) error {
	f.mu.Lock()
	acked := f.acked
	if acked.IsZero() || acked.Epoch == f.ring.end().Epoch && acked.Offset <= f.behind() {
		f.mu.Unlock()
		return nil
	}
	ticket := f.begun + 1
	f.want()
	return f.awaitAndUnlock(ctx, func() bool {
		over := f.done >= ticket
		if over && f.acked == acked {
			f.acked = Position{}
		}
		return over
	})
}

// opened returns when the topic is followed and its end is known.
func (f *feed) opened(ctx context.Context) error {
	f.mu.Lock()
	f.wantOpen()
	return f.awaitAndUnlock(ctx, func() bool { return f.open })
}

// awaitAndUnlock waits for a condition that rounds change, and gives up mu.
func (f *feed) awaitAndUnlock(ctx context.Context, met func() bool) error {
	defer f.mu.Unlock()
	for !met() {
		changed := f.changed
		f.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-f.ctx.Done():
			err = ErrClosed
		case <-ctx.Done():
			err = ctx.Err()
		}
		f.mu.Lock()
		if err != nil {
			return err
		}
	}
	return nil
}

// round follows the topic if it is not followed, and reads what its end has and
// the chain does not. Live messages wait meanwhile, so what is read and what is
// live meet without a gap.
func (f *feed) round(ctx context.Context) error {
	if err := f.follow(); err != nil {
		return err
	}
	head, err := f.node.head(ctx, f.topic)
	if err != nil {
		return err
	}
	for complete := f.compare(head); !complete; {
		if complete, err = f.readOn(ctx, head); err != nil {
			return err
		}
	}
	return nil
}

func (f *feed) follow() error {
	f.mu.Lock()
	followed := f.stop != nil
	f.mu.Unlock()
	if followed {
		return nil
	}
	stop, err := f.node.broker.Follow(f.topic, f)
	if err != nil {
		return err
	}
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.stop = stop
	}
	f.mu.Unlock()
	if closed {
		stop()
		return ErrClosed
	}
	return nil
}

// compare judges the chain by the end of the topic, and reports whether nothing
// has to be read: it has the end, or is broken for good.
func (f *feed) compare(head Head) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	end := f.ring.end()
	switch {
	case !f.open || head.Position.Epoch != end.Epoch:
		f.reset(head)
	case head.Position == end:
		f.through = max(f.through, head.Through)
	case f.outlives(head):
		f.through = max(f.through, head.Through)
	case head.Position.ID == "" || head.Position.Offset <= f.behind(): // something was discarded; or another life of the store
		f.reset(head)
	default:
		return false
	}
	return true
}

// outlives reports whether everything of the topic was discarded, and the chain
// had it all. Under mu.
func (f *feed) outlives(head Head) bool {
	end, behind := f.ring.end(), f.behind()
	return head.Position.ID == "" && head.First <= behind+1 && head.Through >= behind &&
		(end.ID == "" || head.First > end.Offset) // otherwise the store never had the end
}

// behind is the offset up to which the chain has everything. Under mu.
func (f *feed) behind() uint64 { return max(f.ring.end().Offset, f.through) }

// readOn reads one page behind the chain, and reports whether the chain has the
// end of the topic now, or is broken.
func (f *feed) readOn(ctx context.Context, head Head) (bool, error) {
	f.mu.Lock()
	end, behind := f.ring.end(), f.behind()
	f.mu.Unlock()
	page, err := f.node.read(ctx, f.topic, start(end), head.Position.Offset)
	if err != nil {
		return false, err
	}
	if len(page) == 0 || page[0].Epoch != end.Epoch {
		return false, ErrBehind
	}
	connected := page[0].Position() == end
	if connected {
		page = page[1:]
	} else if connected, err = f.bridged(ctx, end, behind, page[0].Offset); err != nil {
		return false, err
	}
	f.mu.Lock()
	if !connected {
		f.reset(head)
		f.mu.Unlock()
		return true, nil
	}
	for i := range page {
		f.ring.push(page[i])
	}
	complete := f.ring.end().Offset >= head.Position.Offset
	f.wakeAndUnlock()
	if !complete && len(page) == 0 {
		return false, ErrBehind
	}
	return complete, nil
}

// start is the offset to read from to go on at a position: its own, and that of
// the first message where no message is in front of it.
func start(at Position) uint64 {
	if at.ID == "" {
		return 1
	}
	return at.Offset
}

// bridged reports whether the message at next, the first that is kept, follows
// the end of the chain, which is not kept: the chain has everything up to behind,
// and nothing from there on was discarded.
func (f *feed) bridged(ctx context.Context, end Position, behind, next uint64) (bool, error) {
	if next <= behind {
		return false, nil
	}
	intact, err := f.node.intact(ctx, f.topic, behind)
	if err != nil || !intact || end.ID == "" {
		return intact, err
	}
	kept, err := f.node.intact(ctx, f.topic, end.Offset-1)
	return !kept, err // kept, and not there: it is of another life of the store
}
