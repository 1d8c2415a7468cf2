package engine

import (
	"context"
	"sync/atomic"
)

// onDemand is made when the program first asks for one of its fields. Guarded by the lock of
// conn.
type onDemand struct {
	done   chan struct{}
	ctx    context.Context
	cancel context.CancelCauseFunc // of ctx
	id     uint64
	expiry expiry
}

// onDemandLocked returns the onDemand of ws, made if need be.
func (ws *WebSocket) onDemandLocked() *onDemand {
	x := ws.extrasLocked()
	if x.onDemand == nil {
		x.onDemand = new(onDemand)
	}
	return x.onDemand
}

func (ws *WebSocket) knownOnDemandLocked() *onDemand {
	if ws.extras == nil {
		return nil
	}
	return ws.extras.onDemand
}

// Done returns a channel that is closed after OnClose has returned. Any goroutine.
func (ws *WebSocket) Done() <-chan struct{} {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	d := ws.onDemandLocked()
	if d.done == nil {
		d.done = make(chan struct{})
		if e := ws.knownEndingLocked(); e != nil && e.ended {
			close(d.done)
		}
	}
	return d.done
}

// Context returns a context that is cancelled when the connection has ended, right before
// OnClose is called. Its cause is what Err returns, or a *CloseError after a closing handshake.
// The first call makes it. Any goroutine.
func (ws *WebSocket) Context() context.Context {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	d := ws.onDemandLocked()
	if d.ctx == nil {
		d.ctx, d.cancel = context.WithCancelCause(context.Background())
		if e := ws.knownEndingLocked(); e != nil && e.final {
			d.cancel(e.cause())
		}
	}
	return d.ctx
}

// cause is err, or what closed the connection in order.
func (e *ending) cause() error {
	if e.err != nil {
		return e.err
	}
	return &CloseError{Code: e.status.code, Reason: e.status.reason}
}

// cancelContext cancels what Context returned. Loop only; under no lock.
func (ws *WebSocket) cancelContext() {
	ws.conn.Lock()
	e, d := ws.endingLocked(), ws.knownOnDemandLocked()
	e.final = true
	ws.conn.Unlock()
	if d != nil && d.cancel != nil {
		d.cancel(e.cause())
	}
}

var lastID atomic.Uint64

// ID returns a number that no other connection of this process has. Use it in logs. Any
// goroutine.
func (ws *WebSocket) ID() uint64 {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	d := ws.onDemandLocked()
	if d.id == 0 {
		d.id = lastID.Add(1)
	}
	return d.id
}
