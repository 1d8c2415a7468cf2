package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// Reconnect says how DialReconnecting comes back. The zero value works.
//
// The wait before an attempt is random between 0 and a ceiling (full jitter),
// so that clients of a server that went away do not all come back at once. The
// ceiling begins at BaseDelay and doubles with every attempt up to MaxDelay,
// until a connection has stood for StableAfter. A server that closes with 1012
// (it restarts) spreads its clients over at least 5 s; after 1013 (try again
// later) the wait is between MaxDelay/2 and MaxDelay; Retry-After of a refusal
// is waited out and the jitter added, which may take a day.
//
// It is over, and Err says why, when trying again would not help: the close
// codes 1000, 1002, 1003, 1007, 1008, 1009 and 1010, whoever sent them; an
// answer that is no refusal for the time being (408, 425, 429, 5xx but 501 and
// 505) or breaks the protocol; a certificate that is not trusted; a redirect that
// may not be followed; an option that cannot be used; the end of
// DialOptions.Group. A callback that does not return (PanicError) ends its
// connection or its attempt only.
type Reconnect struct {
	// OnConnect is called for every connection after DialOptions.OnUpgrade,
	// before its first message is delivered and before Send of the Reconnecting
	// can use it: the place to subscribe again. n is 1 for the first connection, 2
	// for the next. It runs on the loop that owns the connection.
	OnConnect func(ws *WebSocket, n int)
	// OnRetry is told why there is no connection, and how long the wait for the
	// next attempt is. It runs on a goroutine of its own, for which the next attempt
	// waits. If it panics, or calls runtime.Goexit, that is logged.
	OnRetry func(err error, delay time.Duration)
	// Final names further errors after which it is over; codes from 3000 on, which
	// mean what the application says, are retried otherwise. err is a *CloseError, an error
	// that WebSocket.Err tells, or one of Dial. It runs as OnRetry does; one that
	// does not return counts as false.
	Final func(err error) bool

	// BaseDelay and MaxDelay bound the ceiling of the wait. Defaults: 100 ms, 30 s.
	BaseDelay, MaxDelay time.Duration
	// StableAfter is how long a connection must have stood to count as one that
	// works. Default: MaxDelay.
	StableAfter time.Duration
	// MaxAttempts is the most attempts in a row that bring no connection, or one
	// that is not stable. Default: no limit.
	MaxAttempts int
	// MaxElapsed is the longest time without a stable connection, waits included.
	// Default: no limit.
	MaxElapsed time.Duration

	clock *retryClock // nil: the real one
}

func (p Reconnect) withDefaults() Reconnect {
	setDefault(&p.BaseDelay, 100*time.Millisecond)
	setDefault(&p.MaxDelay, max(30*time.Second, p.BaseDelay))
	p.BaseDelay = min(p.BaseDelay, p.MaxDelay)
	setDefault(&p.StableAfter, p.MaxDelay)
	if p.clock == nil {
		p.clock = &realClock
	}
	return p
}

// Reconnecting is a WebSocket that is opened again when it ends. All methods may
// be called by any goroutine.
type Reconnecting struct {
	// Immutable.
	url    string
	opt    DialOptions
	policy Reconnect
	cancel context.CancelCauseFunc
	done   chan struct{}

	mu      sync.Mutex
	current *WebSocket // nil: none at the moment
	opened  int        // connections so far
	since   time.Time  // when the last one was opened
	closing bool       // no connection comes any more
	code    StatusCode // to close with
	reason  string
	err     error // why it is over
}

// DialReconnecting opens a WebSocket as Dial does and opens it again whenever it
// ends, until ctx is done, Close is called, or policy gives up. It does not wait
// for the first connection: policy.OnConnect tells of it. opt may be nil; its
// callbacks are those of every connection. The error is that of a URL that
// leads nowhere, or of options that cannot be meant.
func DialReconnecting(ctx context.Context, rawURL string, opt *DialOptions, policy Reconnect) (*Reconnecting, error) {
	if err := policy.checkOptions(opt); err != nil {
		return nil, err
	}
	if _, err := parseURL(rawURL); err != nil {
		return nil, err
	}
	r := &Reconnecting{
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
func (r *Reconnecting) opens() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened++
	r.since = r.policy.clock.now()
}

// connected begins the use of a connection. Loop only.
func (r *Reconnecting) connected(ws *WebSocket) {
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

func (r *Reconnecting) run(ctx context.Context) {
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
func (r *Reconnecting) keep(ctx context.Context) error {
	b := newBackoff(&r.policy, r.opt.Logger)
	for {
		stood, err := r.once(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		delay, err := b.next(stood, err)
		if err != nil {
			return err
		}
		if r.policy.clock.sleep(ctx, delay) != nil {
			return context.Cause(ctx)
		}
	}
}

// once opens a connection and stays with it. It returns how long it stood and
// how it ended.
func (r *Reconnecting) once(ctx context.Context) (stood time.Duration, err error) {
	ws, err := r.dial(ctx)
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
	return r.policy.clock.now().Sub(r.since), howItEnded(ws)
}

// dial is Dial whose callbacks may not return.
func (r *Reconnecting) dial(ctx context.Context) (ws *WebSocket, err error) {
	if panicked := loop.Isolate(func() { ws, err = Dial(ctx, r.url, &r.opt) }); panicked != nil {
		return nil, panicked
	}
	return ws, err
}

// howItEnded is the error that stands for the end of ws.
func howItEnded(ws *WebSocket) error {
	if err := ws.Err(); err != nil {
		return err
	}
	code, reason := ws.CloseStatus()
	return &CloseError{Code: code, Reason: reason}
}

// Current returns the connection of the moment, nil if there is none. It may
// have ended when it is used. Its Close ends this connection only; its close
// code decides whether there is another.
func (r *Reconnecting) Current() *WebSocket {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current
}

// Send is Send of the current connection. ErrNotConnected if there is none,
// ErrClosed if none will come any more.
func (r *Reconnecting) Send(op OpCode, p []byte) error {
	if ws := r.Current(); ws != nil {
		return r.sent(ws.Send(op, p))
	}
	return r.sent(ErrClosed)
}

// SendText is Send of a text message.
func (r *Reconnecting) SendText(s string) error {
	if ws := r.Current(); ws != nil {
		return r.sent(ws.SendText(s))
	}
	return r.sent(ErrClosed)
}

// SendBinary is Send of a binary message.
func (r *Reconnecting) SendBinary(p []byte) error { return r.Send(Binary, p) }

// sent tells a connection that is gone from the end.
func (r *Reconnecting) sent(err error) error {
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

// Close ends it: the current connection is closed as WebSocket.Close does, and
// no other follows. It does not wait; Done tells the end. Closing twice is no
// error; the first one counts. ErrInvalidStatus if code may not be sent.
func (r *Reconnecting) Close(code StatusCode, reason string) error {
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

// Done returns a channel that is closed when it is over and OnClose of the last
// connection has returned.
func (r *Reconnecting) Done() <-chan struct{} { return r.done }

// Err returns why it is over: nil before that and after Close, the cause of the
// context, ErrGaveUp, or the error after which trying again would not help.
func (r *Reconnecting) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}
