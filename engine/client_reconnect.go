package engine

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// ReconnectingClient is a WebSocket that is opened again when it ends. All methods
// may be called by any goroutine.
type ReconnectingClient struct {
	// Immutable.
	url    string
	opt    DialOptions
	policy ReconnectPolicy
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu      sync.Mutex
	current *WebSocket // nil: none at the moment
	opened  int        // connections so far
	since   time.Time  // when the last one was opened
	closing bool       // no connection comes any more
	code    StatusCode // to close with
	reason  string
	err     error // why it has ended
}

// DialReconnecting opens a WebSocket as Dial does, and opens it again whenever it
// ends, until ctx is done, Close is called, or policy gives up. It does not wait
// for the first connection: policy.OnConnect is called when it is open. opt may be
// nil; its callbacks are those of every connection. The error is that of an
// invalid URL, or of invalid options. With policy.Prepare, rawURL may be empty.
//
// When ctx is done, the connection is closed with 1001 (going away).
func DialReconnecting(ctx context.Context, rawURL string, opt *DialOptions, policy ReconnectPolicy) (*ReconnectingClient, error) {
	if err := policy.checkOptions(opt); err != nil {
		return nil, err
	}
	if rawURL != "" || policy.Prepare == nil {
		if _, err := parseURL(rawURL); err != nil {
			return nil, err
		}
	}
	r := &ReconnectingClient{
		url:    rawURL,
		policy: policy.withDefaults(),
		done:   make(chan struct{}),
		code:   StatusGoingAway,
	}
	if opt != nil {
		r.opt = *opt
	}
	own := r.opt
	r.opt.OnUpgrade = func(ws *WebSocket) {
		r.opens() // whatever the callbacks do
		own.callUpgrade(ws)
		r.connected(ws)
	}
	ctx, r.cancel = context.WithCancelCause(ctx)
	go r.run(ctx)
	return r, nil
}

// opens notes that a connection is open. Loop only.
func (r *ReconnectingClient) opens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	r.since = r.policy.clock.Now()
}

// connected begins the use of a connection. Loop only.
func (r *ReconnectingClient) connected(ws *WebSocket) {
	r.mu.Lock()
	n := r.opened
	r.mu.Unlock()
	r.policy.callConnect(ws, n)
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closing && n == r.opened { // OnConnect may have outlasted the connection
		r.current = ws
	}
}

func (r *ReconnectingClient) run(ctx context.Context) {
	defer close(r.done)
	err := r.keep(ctx)
	if errors.Is(err, errOwnClose) {
		err = nil
	}
	r.cancel(nil)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current, r.closing, r.err = nil, true, err
}

// errOwnClose is why ctx ends when Close was called.
var errOwnClose = errors.New("closed by this side")

// keep keeps a connection up until there is a reason not to.
func (r *ReconnectingClient) keep(ctx context.Context) error {
	next := newRetrier(&r.policy, r.opt.Logger)
	var last error
	for n := 1; ; n++ {
		var stood time.Duration
		stood, last = r.once(ctx, next, n, last)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		delay, err := next.next(stood, last)
		if err != nil {
			return err
		}
		if r.policy.clock.Sleep(ctx, delay) != nil {
			return context.Cause(ctx)
		}
	}
}

// once opens a connection in attempt n and stays with it. It returns how long the
// connection stood and how it ended. last is how the one before ended.
func (r *ReconnectingClient) once(ctx context.Context, by *retrier, n int, last error) (stood time.Duration, err error) {
	ws, err := r.dial(ctx, by, &Attempt{N: n, Err: last, URL: r.url, Header: r.opt.Header})
	if err != nil {
		return 0, err
	}
	select {
	case <-ws.Done():
	case <-ctx.Done():
		r.mu.Lock()
		r.closing, r.current = true, nil
		code, reason := r.code, r.reason
		r.mu.Unlock()
		_ = ws.Close(code, reason) // checked by Close
		<-ws.Done()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = nil
	return r.policy.clock.Now().Sub(r.since), howItEnded(ws)
}

// dial dials what Prepare makes of a. Its callbacks may not return.
func (r *ReconnectingClient) dial(ctx context.Context, by *retrier, a *Attempt) (ws *WebSocket, err error) {
	panicked := loop.Isolate(func() {
		if err = r.prepare(ctx, a); err != nil {
			return
		}
		opt := r.opt
		opt.Header = a.Header
		ws, err = Dial(ctx, a.URL, &opt)
	})
	if panicked != nil {
		logPanic(&by.panics, by.log, panicked, panicFailsDial)
		return nil, panicked
	}
	return ws, err
}

func (r *ReconnectingClient) prepare(ctx context.Context, a *Attempt) error {
	if r.policy.Prepare == nil {
		return nil
	}
	if a.Header = a.Header.Clone(); a.Header == nil {
		a.Header = make(http.Header)
	}
	if err := r.policy.Prepare(ctx, a); err != nil {
		return &prepareError{err}
	}
	return nil
}

// howItEnded returns the end of ws as an error.
func howItEnded(ws *WebSocket) error {
	if err := ws.Err(); err != nil {
		return err
	}
	code, reason := ws.CloseStatus()
	return &CloseError{Code: code, Reason: reason}
}

// Current returns the connection of the moment, nil if there is none. It may
// have ended when you use it. Its Close ends this connection only; its close code
// decides whether another follows. A message in fragments belongs to one
// connection: send it on this one.
func (r *ReconnectingClient) Current() *WebSocket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Send sends a message on the current connection, as WebSocket.Send does.
// ErrNotConnected: there is none at the moment, and nothing was sent or kept.
// ErrClosed: none will come any more.
func (r *ReconnectingClient) Send(op OpCode, p []byte) error {
	return r.with(func(ws *WebSocket) error { return ws.Send(op, p) })
}

// SendText sends a text message. Its errors are those of Send.
func (r *ReconnectingClient) SendText(s string) error {
	return r.with(func(ws *WebSocket) error { return ws.SendText(s) })
}

// SendBinary sends a binary message. Its errors are those of Send.
func (r *ReconnectingClient) SendBinary(p []byte) error { return r.Send(Binary, p) }

// SendPrepared sends a prepared message. Its errors are those of Send.
func (r *ReconnectingClient) SendPrepared(p *Prepared) error {
	return r.with(func(ws *WebSocket) error { return ws.SendPrepared(p) })
}

// Ping sends a ping of at most 125 bytes. Its errors are those of Send, and
// ErrControlTooLong.
func (r *ReconnectingClient) Ping(p []byte) error {
	return r.with(func(ws *WebSocket) error { return ws.Ping(p) })
}

// Buffered returns how many bytes are queued for the current connection, 0 if
// there is none.
func (r *ReconnectingClient) Buffered() int {
	if ws := r.Current(); ws != nil {
		return ws.Buffered()
	}
	return 0
}

// with calls send with the current connection. The error tells a connection that
// is gone from the end of the client.
func (r *ReconnectingClient) with(send func(ws *WebSocket) error) error {
	err := ErrClosed
	if ws := r.Current(); ws != nil {
		err = send(ws)
	}
	if err != ErrClosed {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return ErrClosed
	}
	return ErrNotConnected
}

// Close closes the current connection as WebSocket.Close does; no other follows.
// It does not wait: Done is closed at the end. Closing twice is no error; the first
// one counts. ErrInvalidStatus: code may not be sent, and nothing was done.
func (r *ReconnectingClient) Close(code StatusCode, reason string) error {
	if !mayClose(code) {
		return ErrInvalidStatus
	}
	r.mu.Lock()
	if !r.closing {
		r.closing, r.code, r.reason = true, code, reason
	}
	r.current = nil
	r.mu.Unlock()
	r.cancel(errOwnClose)
	return nil
}

// Done returns a channel that is closed when no connection follows any more and
// OnClose of the last one has returned.
func (r *ReconnectingClient) Done() <-chan struct{} { return r.done }

// Err returns why no connection follows any more: the cause of the context,
// ErrGaveUp, or the error after which there is no further attempt. It is nil before
// that, and after Close.
func (r *ReconnectingClient) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
