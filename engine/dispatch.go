package engine

import (
	"sync"
)

// Dispatch runs message callbacks on a pool of goroutines, for those that
// block. Those of one connection run one after the other, in order, OnClose
// last. The others stay on the loop.
type Dispatch struct {
	// Workers is the number of goroutines. Default: 64.
	Workers int
	// MaxWaiting is how many messages of one connection may wait before its
	// reading pauses. Default: 16.
	MaxWaiting int
}

// dispatcher is the pool of a Server.
type dispatcher struct {
	cfg   Dispatch
	mu    sync.Mutex
	ready []*lane // with work, and no worker
	idle  int     // workers that may be started
}

// lane is the messages of one connection that wait. Guarded by the
// dispatcher's mutex.
type lane struct {
	jobs    []func()
	queued  bool // ready, or with a worker
	stopped bool // reading is paused for it
}

func newDispatcher(cfg *Dispatch) *dispatcher {
	if cfg == nil {
		return nil
	}
	d := &dispatcher{cfg: *cfg}
	setDefault(&d.cfg.Workers, 64)
	setDefault(&d.cfg.MaxWaiting, 16)
	d.idle = d.cfg.Workers
	return d
}

// put appends a job of ws. On the loop.
func (d *dispatcher) put(ws *WebSocket, job func()) {
	l := ws.lane()
	d.mu.Lock()
	defer d.mu.Unlock()
	l.jobs = append(l.jobs, job)
	if len(l.jobs) > d.cfg.MaxWaiting && !l.stopped {
		l.stopped = true
		ws.pause(pausedByDispatch)
	}
	if l.queued {
		return
	}
	l.queued = true
	d.ready = append(d.ready, l)
	if d.idle > 0 {
		d.idle--
		go d.work()
	}
}
