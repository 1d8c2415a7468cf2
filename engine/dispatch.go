package engine

import "sync"

// Dispatch runs OnText, OnBinary, OnFragment and OnClose on a pool of
// goroutines, for callbacks that block. Those of one connection run one after
// the other, in order, and get what came before the end of the connection,
// unless Close or CloseNow ended it. Bytes given to them are copies. The other
// callbacks stay on the loop, so they may run at the same time as these; a
// connection's own callbacks can be set in OnUpgrade only.
type Dispatch struct {
	// Workers is the number of goroutines at most. Default: 64.
	Workers int
	// MaxWaiting is how many messages of one connection may wait before its
	// reading pauses. Default: 16.
	MaxWaiting int
}

// dispatcher is the pool of a Server. Workers run while there is work.
type dispatcher struct {
	cfg Dispatch

	mu    sync.Mutex
	ready []*lane // have jobs and no worker
	free  int     // workers that may be started

	working sync.WaitGroup
}

// lane is the jobs of one connection that wait. Guarded by the mutex of the
// dispatcher.
type lane struct {
	ws     *WebSocket
	jobs   []job
	bytes  int  // of messages in jobs
	busy   bool // ready, or with a worker
	paused bool // reading waits for it
}

// job is a callback that waits for a worker.
type job struct {
	run   func()
	bytes int // of the message it has
}

func newDispatcher(cfg *Dispatch) *dispatcher {
	if cfg == nil {
		return nil
	}
	d := &dispatcher{cfg: *cfg}
	setDefault(&d.cfg.Workers, 64)
	setDefault(&d.cfg.MaxWaiting, 16)
	d.free = d.cfg.Workers
	return d
}

// wait returns when all jobs are done. There are no new ones after the loops
// have ended.
func (d *dispatcher) wait() {
	if d != nil {
		d.working.Wait()
	}
}

// dispatchMessage gives a copy of a message to the worker pool. On the loop.
func (ws *WebSocket) dispatchMessage(op OpCode, p []byte, fin bool) {
	p = append([]byte(nil), p...)
	ws.dispatch(job{bytes: len(p), run: func() {
		if !ws.loadState().asked(askMute) {
			ws.callMessage(op, p, fin)
		}
	}})
}

// dispatch gives a job of ws to the worker pool. On the loop.
func (ws *WebSocket) dispatch(j job) {
	d := ws.endpoint.dispatcher
	l := ws.lane()
	d.mu.Lock()
	defer d.mu.Unlock()
	l.jobs = append(l.jobs, j)
	l.bytes += j.bytes
	if len(l.jobs) > d.cfg.MaxWaiting && !l.paused {
		l.paused = true
		ws.pause(pausedByDispatch)
	}
	if l.busy {
		return
	}
	l.busy = true
	d.ready = append(d.ready, l)
	if d.free > 0 {
		d.free--
		d.working.Go(d.work)
	}
}

// lane returns the lane of ws, made if need be.
func (ws *WebSocket) lane() *lane {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extrasLocked()
	if x.lane == nil {
		x.lane = &lane{ws: ws}
	}
	return x.lane
}

// work runs jobs, one of a lane at a time, until there are none. A job that ends
// its goroutine leaves the rest to another one.
func (d *dispatcher) work() {
	idle := false
	defer func() {
		if !idle {
			d.working.Go(d.work)
		}
	}()
	for l, j := d.take(); l != nil; l, j = d.take() {
		d.run(l, j)
	}
	idle = true
}

// take returns the next job; without a lane: there is none, and one worker less.
func (d *dispatcher) take() (*lane, job) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.ready) == 0 {
		d.free++
		return nil, job{}
	}
	l := d.ready[0]
	d.ready[0] = nil
	d.ready = d.ready[1:]
	j := l.jobs[0]
	l.jobs[0] = job{}
	l.jobs = l.jobs[1:]
	l.bytes -= j.bytes
	return l, j
}

// run runs one job. One that does not return ends its connection, as on the loop.
func (d *dispatcher) run(l *lane, j job) {
	l.ws.endpoint.guard(panicEnds, func() error { j.run(); return nil }, func(err error) {
		if err != nil {
			l.ws.state.Or(uint32(askMute))                                                     // the others get nothing more
			_ = l.ws.conn.Do(func() { l.ws.fail(StatusInternalError, "internal error", err) }) // ended: nothing to close
		}
		d.done(l)
	})
}

// done makes l ready for another worker.
func (d *dispatcher) done(l *lane) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l.paused && len(l.jobs) <= d.cfg.MaxWaiting/2 {
		l.paused = false
		l.ws.unpause(pausedByDispatch)
	}
	if l.busy = len(l.jobs) > 0; l.busy {
		d.ready = append(d.ready, l)
	}
}

// waiting is the bytes of the messages that wait for a worker. Any goroutine.
func (l *lane) waiting(d *dispatcher) int {
	if l == nil {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return l.bytes
}
