//go:build (darwin || freebsd || (linux && netpoll)) && !portable

package loop

import (
	"errors"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	errorx "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
)

// netpollPoller runs on gnet's public netpoll.Poller: epoll on Linux, kqueue
// on darwin and freebsd. netpoll tells nothing of where a batch of events ends
// and knows no timeout, so a turn is a task triggered through it, and a wait
// that must end is a Go timer that triggers one.
type netpollPoller struct {
	p    *netpoll.Poller
	task queue.Func // turn, made once

	// Owned by the loop.
	h     pollHandler
	timer *time.Timer
	due   time.Time // when timer fires; zero: it never ran

	// Guarded by mu.
	mu      sync.Mutex
	queued  bool // a turn is triggered
	turning bool // a turn is under way
	again   bool // another was asked for meanwhile
	closed  bool
}

func newNetpollPoller() (poller, error) {
	p, err := netpoll.OpenPoller()
	if err != nil {
		return nil, err
	}
	np := &netpollPoller{p: p}
	np.task = np.turn
	return np, nil
}

func (p *netpollPoller) add(fd int, want interest) error {
	pa := &netpoll.PollAttachment{FD: fd}
	switch {
	case want&readable != 0 && want&writable != 0:
		return p.p.AddReadWrite(pa, edgeTriggered)
	case want&readable != 0:
		return p.p.AddRead(pa, edgeTriggered)
	case want&writable != 0:
		return p.p.AddWrite(pa, edgeTriggered)
	}
	return nil
}

func (p *netpollPoller) wake() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || p.queued:
	case p.turning:
		p.again = true
	default:
		p.queued = true
		_ = p.p.Trigger(queue.HighPriority, p.task, nil) // fails if its eventfd is full: it is awake
	}
}

func (p *netpollPoller) wakeSelf() { p.wake() }

// turn is the task that wake triggers. netpoll runs tasks until there are none
// left, so a turn that was asked for during a turn is left to the timer: the
// descriptors are looked at in between.
func (p *netpollPoller) turn(any) error {
	p.mu.Lock()
	p.queued, p.turning = false, true
	p.mu.Unlock()
	p.h.tick()
	wait, stop := p.h.turn()
	p.mu.Lock()
	again := p.again
	p.turning, p.again = false, false
	p.mu.Unlock()
	switch {
	case stop:
		return errorx.ErrEngineShutdown
	case again:
		wait = 0
	}
	p.arm(wait)
	return nil
}

func (p *netpollPoller) arm(wait time.Duration) {
	if wait < 0 {
		return
	}
	due := time.Now().Add(wait)
	if !p.due.IsZero() && time.Until(p.due) > 0 && p.due.Before(due) {
		return
	}
	p.due = due
	if p.timer == nil {
		p.timer = time.AfterFunc(wait, p.wake)
		return
	}
	p.timer.Reset(wait)
}

func (p *netpollPoller) run(h pollHandler) error {
	if p.h != nil {
		p.reset()
	}
	p.h = h
	p.wake()
	err := p.p.Polling(func(fd int, event netpoll.IOEvent, flags netpoll.IOFlags) error {
		h.tick()
		h.ready(fd, netpollInterest(event, flags))
		return nil
	})
	if p.timer != nil {
		p.timer.Stop()
	}
	if errors.Is(err, errorx.ErrEngineShutdown) {
		return nil
	}
	return err
}

// wakeupCall is where a netpoll.Poller notes that it was triggered, and triggers
// nothing more until it has run its tasks.
var wakeupCall, hasWakeupCall = reflect.TypeFor[netpoll.Poller]().FieldByName("wakeupCall")

// reset makes Polling usable again after a callback that did not return: a task
// that ends its goroutine leaves wakeupCall set for ever. Where there is no such
// field, netpoll has to be looked at again.
func (p *netpollPoller) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queued, p.turning, p.again, p.due = false, false, false, time.Time{}
	if hasWakeupCall && wakeupCall.Type.Kind() == reflect.Int32 {
		atomic.StoreInt32((*int32)(unsafe.Add(unsafe.Pointer(p.p), wakeupCall.Offset)), 0)
	}
}

func (p *netpollPoller) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	return p.p.Close()
}
