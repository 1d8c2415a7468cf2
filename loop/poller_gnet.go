package loop

import (
	"errors"
	"time"

	errorx "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"github.com/panjf2000/gnet/v2/pkg/queue"
)

// netpollPoller runs on gnet's public netpoll.Poller: epoll on Linux, kqueue
// on darwin and freebsd. netpoll tells nothing of where a batch of events ends
// and knows no timeout, so a turn is a task triggered through it, and a wait
// that must end is a Go timer that triggers one.
type netpollPoller struct {
	p     *netpoll.Poller
	h     pollHandler
	timer *time.Timer
	due   time.Time // when timer fires; zero: it is not running
}

func newNetpollPoller() (poller, error) {
	p, err := netpoll.OpenPoller()
	if err != nil {
		return nil, err
	}
	return &netpollPoller{p: p}, nil
}

func (p *netpollPoller) add(fd int, want interest) error {
	pa := &netpoll.PollAttachment{FD: fd}
	switch {
	case want&readable != 0 && want&writable != 0:
		return p.p.AddReadWrite(pa, netpollEdge)
	case want&readable != 0:
		return p.p.AddRead(pa, netpollEdge)
	case want&writable != 0:
		return p.p.AddWrite(pa, netpollEdge)
	}
	return nil
}

func (p *netpollPoller) wake() error {
	return p.p.Trigger(queue.HighPriority, p.turn, nil)
}

func (p *netpollPoller) wakeSelf() {
	_ = p.wake() // an eventfd that cannot be written is at its limit: awake
}

// turn is the task that wake triggers.
func (p *netpollPoller) turn(any) error {
	p.h.tick()
	wait, stop := p.h.turn()
	if stop {
		return errorx.ErrEngineShutdown
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
		p.timer = time.AfterFunc(wait, func() { _ = p.wake() })
		return
	}
	p.timer.Reset(wait)
}

func (p *netpollPoller) run(h pollHandler) error {
	p.h = h
	if err := p.wake(); err != nil {
		return err
	}
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

func (p *netpollPoller) close() error { return p.p.Close() }
