package loop

import (
	"log/slog"
)

// call is what a loop has called that is not of this package, and may not
// return. Owned by the loop.
type call struct {
	conn     *Conn       // whose event or OnClose is under way
	outside  bool        // something else is: a function given to Do, Accept
	accepted int         // the descriptor that Accept makes a handler for; noFD: none
	broken   *PanicError // how the call ended that did not return
	mended   int         // calls of OnPanic for conn
	polled   bool        // the poller has ended
	over     bool        // so has the loop
}

const noFD = -1

// callFunc and others whose names begin with call call what belongs to the
// program: callbackIn goes by that.
func callFunc(fn func()) { fn() }

func (l *Loop) callOverBudget() { l.group.cfg.OnOverBudget(l) }

func (a *acceptor) callAccept(l *Loop) Handler { return a.cfg.Accept(l) }

// run is the loop's goroutine. Callbacks are called without a deferred function
// of their own. One that does not return ends the goroutine, and run takes over
// on another: what is under way at any time is known to the loop, not to the
// stack. So it goes on with the rest of the events, mail and timers.
func (l *Loop) run() {
	l.goroutine.Store(GoroutineID())
	defer l.survive()
	l.mend()
	if !l.call.polled {
		err := l.poller.run(l)
		l.call.polled = true
		if err != nil {
			l.group.log(slog.LevelError, "loop: the poller failed; the loop ends", slog.Any("err", err))
		}
	}
	l.end()
	l.call.over = true
}

// survive is deferred by run. A panic in this package itself, with no callback
// under way, is left to end the process: locks may be held.
func (l *Loop) survive() {
	l.goroutine.Store(0)
	switch {
	case l.call.over:
		l.group.running.Done()
	case l.call.conn != nil || l.call.outside:
		l.call.broken = NewPanicError(recover())
		go l.run()
	}
}

// mend does what is left to do after a callback that did not return.
func (l *Loop) mend() {
	err, c := l.call.broken, l.call.conn
	if err == nil {
		return
	}
	if l.call.accepted != noFD {
		closeFD(l.call.accepted)
	}
	l.call.outside, l.call.accepted = false, noFD
	if c == nil {
		l.logPanic(err, "loop: a function given to Do, Accept or OnOverBudget did not return; the loop goes on")
	} else {
		c.mend(err)
	}
	l.call.broken = nil
	if edgeTriggered {
		l.askAgain()
	}
}

// askAgain makes an edge-triggered poller report again what it may have reported
// in vain.
func (l *Loop) askAgain() {
	l.Each((*Conn).askAgain)
	for fd, a := range l.listeners {
		_ = l.poller.mod(fd, a.want(), a.want()) // they were added like this
	}
}

// maxMends is how often OnPanic is called for one event.
const maxMends = 2

// mend ends the event of c that did not return.
func (c *Conn) mend(err *PanicError) {
	l := c.loop
	h, ok := c.handler.(PanicHandler)
	if l.call.mended++; ok && l.call.mended <= maxMends {
		h.OnPanic(err)
	} else {
		l.logPanic(err, "loop: a callback did not return; its connection is dropped")
		c.end(err)
	}
	l.call.mended = 0
	c.leave()
	c.mu.Lock()
	if c.phase != ended {
		c.postLocked() // for what would have followed the event
	}
	c.mu.Unlock()
}

func (l *Loop) logPanic(err *PanicError, msg string) {
	l.group.panics.Log(l.group.cfg.Logger, slog.LevelError, msg,
		slog.Int("loop", l.index), slog.Any("err", err), slog.Any("panic", err.Value), slog.String("stack", string(err.Stack)))
}
