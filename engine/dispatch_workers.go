package engine

import (
	"log/slog"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

const (
	// quickWorkers is how many jobs run at the same time while none blocks.
	quickWorkers = 64
	// idleWorkers is how many workers wait for jobs. Others end.
	idleWorkers = 8
	// slowAfter is the time between two looks for jobs that block.
	slowAfter = 100 * time.Millisecond
)

// dispatcher is the pool of a Server. At most limit workers run quick jobs. One
// whose job turns out to block no longer counts among these: another is started,
// up to cfg.Workers.
type dispatcher struct {
	// Immutable.
	cfg   Dispatch
	log   *slog.Logger
	limit int // of quick

	mu      sync.Mutex
	ready   []*lane // have jobs and no worker
	left    int     // lanes of connections that have ended, with messages
	skipped uint64  // messages
	workers map[*worker]struct{}
	idle    []*worker
	quick   int         // workers with a place
	looks   uint32      // for jobs that block
	look    *time.Timer // nil: there was none yet
	looking bool        // the timer runs
	closed  bool

	full    loop.Throttle // of the log
	working sync.WaitGroup
}

// worker is a goroutine. Guarded by the mutex of the dispatcher.
type worker struct {
	goroutine uint64
	place     bool   // counts in dispatcher.quick
	began     uint32 // the number of looks when its job began
	wake      chan struct{}
}

func newDispatcher(cfg *Dispatch, log *slog.Logger) *dispatcher {
	if cfg == nil {
		return nil
	}
	d := &dispatcher{cfg: cfg.withDefaults(), log: log, workers: make(map[*worker]struct{})}
	d.limit = min(quickWorkers, d.cfg.Workers)
	return d
}

// wait ends the workers and returns when all jobs are done. There are no new ones
// after the loops have ended.
func (d *dispatcher) wait() {
	if d == nil {
		return
	}
	d.mu.Lock()
	d.closed = true
	for _, w := range d.idle {
		w.wake <- struct{}{}
	}
	d.idle = nil
	d.mu.Unlock()
	d.working.Wait()
}

// enqueue makes a worker run the jobs of l. Under the lock, as all that follows.
func (d *dispatcher) enqueue(l *lane) {
	l.busy = true
	d.ready = append(d.ready, l)
	if !d.start() {
		d.lookLater()
	}
}

// start gives one more worker a place, if there is a place and a worker.
func (d *dispatcher) start() bool {
	if d.quick >= d.limit {
		return false
	}
	if n := len(d.idle); n > 0 {
		w := d.idle[n-1]
		d.idle[n-1], d.idle = nil, d.idle[:n-1]
		w.place = true
		w.wake <- struct{}{}
	} else {
		if len(d.workers) >= d.cfg.Workers {
			return false
		}
		w := &worker{place: true, wake: make(chan struct{}, 1)}
		d.workers[w] = struct{}{}
		d.working.Add(1)
		go d.work(w)
	}
	d.quick++
	return true
}

// lookLater looks for jobs that block after a while.
func (d *dispatcher) lookLater() {
	switch {
	case d.looking:
		return
	case d.look == nil:
		d.look = time.AfterFunc(slowAfter, d.lookForSlow)
	default:
		d.look.Reset(slowAfter)
	}
	d.looking = true
}

// lookForSlow takes the places of jobs that have run since the last look but one,
// and gives them to others.
func (d *dispatcher) lookForSlow() {
	d.mu.Lock()
	d.looking = false
	for w := range d.workers {
		if w.place && w.began < d.looks {
			w.place = false
			d.quick--
		}
	}
	d.looks++
	waiting := len(d.ready)
	for waiting > 0 && d.start() {
		waiting--
	}
	full := waiting > 0 && d.quick < d.limit
	if waiting > 0 {
		d.lookLater()
	}
	d.mu.Unlock()
	if full {
		d.full.Log(d.log, slog.LevelWarn, "engine: all workers of Dispatch are in callbacks that block; connections wait for one to return",
			slog.Int("workers", d.cfg.Workers), slog.Int("waiting", waiting))
	}
}

// work is the goroutine of w. A job that ends it leaves the rest to another one.
func (d *dispatcher) work(w *worker) {
	over := false
	defer func() {
		if over {
			d.working.Done()
			return
		}
		go d.work(w)
	}()
	id := loop.GoroutineID()
	d.mu.Lock()
	w.goroutine = id
	d.mu.Unlock()
	for l, j := d.take(w); l != nil; l, j = d.take(w) {
		d.run(l, j)
	}
	over = true
}

// take waits for a job; without a lane: w is to end.
func (d *dispatcher) take(w *worker) (*lane, job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for {
		if !w.place && len(d.ready) > 0 && d.quick < d.limit {
			w.place = true
			d.quick++
		}
		if w.place && len(d.ready) > 0 {
			l := d.ready[0]
			d.ready[0] = nil
			d.ready = d.ready[1:]
			w.began = d.looks
			return l, l.pop()
		}
		if w.place {
			w.place = false
			d.quick--
		}
		if d.closed || len(d.idle) == idleWorkers {
			delete(d.workers, w)
			return nil, job{}
		}
		d.idle = append(d.idle, w)
		d.mu.Unlock()
		<-w.wake
		d.mu.Lock()
	}
}
