package limits

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// tickEvery is how often the clock looks whether it stood still.
	tickEvery = 100 * time.Millisecond
	// stillAfter is how late a look has to be: the server stood still.
	stillAfter = 500 * time.Millisecond
	// catchUp is how long what arrived meanwhile may take to be read.
	catchUp = 2 * time.Second
	// maxStill is how much of the time counts.
	maxStill = 30 * time.Second
)

// Clock is monotonic time that knows when the server stood still.
type Clock struct {
	now func() time.Duration // immutable

	ticked atomic.Int64 // the last look
	began  atomic.Int64 // when the server stood still last
	until  atomic.Int64 // until then that counts

	stop chan struct{} // nil: driven
	once sync.Once
}

// NewClock starts a clock. Close ends it.
func NewClock() *Clock {
	start := time.Now()
	c := NewDrivenClock(func() time.Duration { return time.Since(start) })
	c.stop = make(chan struct{})
	go c.run()
	return c
}

// NewDrivenClock returns a clock for tests: the time is what now says, and you call
// Tick.
func NewDrivenClock(now func() time.Duration) *Clock {
	c := &Clock{now: now}
	c.ticked.Store(int64(now()))
	return c
}

// Close ends the clock.
func (c *Clock) Close() {
	if c.stop != nil {
		c.once.Do(func() { close(c.stop) })
	}
}

func (c *Clock) run() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			c.Tick()
		case <-c.stop:
			return
		}
	}
}

// Tick looks whether the server stood still since the last Tick.
func (c *Clock) Tick() {
	now := int64(c.now())
	last := c.ticked.Swap(now)
	if time.Duration(now-last) >= stillAfter {
		c.Stood(time.Duration(last), time.Duration(now))
	}
}

// Stood says that connections were not read from one time to another, as far as they
// are known to the caller: the times are those of Now. Tick finds out by itself when
// the whole process stood still.
func (c *Clock) Stood(from, to time.Duration) {
	if began := time.Duration(c.began.Load()); from < time.Duration(c.until.Load()) && began < from {
		from = began // once more, before the first was over
	}
	c.began.Store(int64(max(from, to-maxStill)))
	c.until.Store(int64(to + catchUp))
}

// Now is the time, from any start.
func (c *Clock) Now() time.Duration { return c.now() }

// times returns the time, and since when what was not used counts: now, or the time
// when the server began to stand still.
func (c *Clock) times() (now, since time.Duration) {
	now = c.now()
	if last := time.Duration(c.ticked.Load()); now-last >= stillAfter {
		return now, max(last, now-maxStill) // Tick has not come yet
	}
	if now < time.Duration(c.until.Load()) {
		return now, time.Duration(c.began.Load())
	}
	return now, now
}
