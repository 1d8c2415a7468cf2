package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// talk is one run of fanloop dial.
type talk struct {
	*dialOptions
	to     cli.Address
	opt    *engine.DialOptions
	stderr io.Writer
	in     *sender
	out    *printer
	screen *screen // nil: lines come from stdin and go to stdout
	link   *link

	answer *handshake.Response // the latest; loop of the connection that opens
}

// newTalk decides by what stdin and stdout are how events are shown.
func newTalk(o *dialOptions, std cli.Stdio, to cli.Address, opt *engine.DialOptions) *talk {
	t := &talk{dialOptions: o, to: to, opt: opt, stderr: std.Err, in: newSender(std.In, o), link: newLink()}
	show, stdout := formatLine, std.Out
	switch t.screen = openScreen(std.In, std.Out, o, t.in); {
	case t.screen != nil:
		show, stdout, t.stderr = t.screen.format, t.screen, t.screen
	case o.json:
		show = formatJSON(to.Shown, func() map[string][]string { return t.answer.HeaderMap() })
	case o.raw:
		show = formatRaw
	case isTerminal(std.Out):
		show = formatVisible
	}
	t.out = newPrinter(stdout, o.count, show)
	log := cli.LogOptions{Level: slog.LevelWarn, Quiet: o.quiet}
	opt.Logger = log.Logger(t.stderr)
	opt.Callbacks = t.out.callbacks()
	opt.Callbacks.OnDrain = t.in.onDrain
	opt.OnUpgrade = t.opened
	opt.OnResponse = func(answer *handshake.Response) { t.answer = answer }
	return t
}

// run talks until the connection has ended.
func (t *talk) run(ctx context.Context) error {
	if t.screen != nil {
		defer t.screen.leave()
	}
	if err := t.connect(ctx); err != nil {
		return t.dialError(t.to.Shown, err)
	}
	if t.screen != nil {
		if err := t.screen.enter(); err != nil {
			return fmt.Errorf("cannot set up the terminal: %w", err)
		}
	}
	go t.out.run(t.link)
	inErr := t.converse(ctx)
	outErr := t.out.finish()
	return t.verdict(inErr, outErr)
}

// verdict says how the connection ended, and whether that was in order.
func (t *talk) verdict(inErr, outErr error) error {
	ws, err := t.link.last()
	if err != nil {
		return errors.Join(inErr, t.dialError(t.to.Shown, err))
	}
	code, reason := ws.CloseStatus()
	t.say("%s", ending(code, reason, ws.Err()))
	switch {
	case outErr != nil:
		return fmt.Errorf("cannot write to stdout: %w", outErr)
	case inErr != nil:
		return inErr
	case !t.inOrder(code):
		return cli.ErrClosed
	case !t.out.complete():
		t.say("%d of %d messages came", t.out.received(), t.count)
		return cli.ErrClosed
	}
	return nil
}

// connect opens the first connection, or with --reconnect begins to.
func (t *talk) connect(ctx context.Context) (err error) {
	if !t.reconnect {
		ws, err := engine.Dial(ctx, t.to.URL, t.opt)
		if err == nil { // before that, Ctrl-C still ends the attempt
			t.tell(ws)
		}
		return err
	}
	t.link.again, err = engine.DialReconnecting(context.WithoutCancel(ctx), t.to.URL, t.opt, engine.ReconnectPolicy{ // converse closes it
		OnConnect: func(ws *engine.WebSocket, _ int) { t.tell(ws) },
		OnRetry: func(err error, delay time.Duration) {
			why := cli.OneLine(t.dialError(t.to.Shown, err))
			if ws := t.link.disconnected(); ws != nil {
				code, reason := ws.CloseStatus()
				why = ending(code, reason, ws.Err())
			}
			t.say("%s; next attempt in %v", why, delay.Round(time.Millisecond))
		},
	})
	return err
}

// opened is OnUpgrade.
func (t *talk) opened(ws *engine.WebSocket) {
	t.out.add(event{kind: opened, ws: ws})
	t.link.connected(ws)
}

// tell says that there is a connection.
func (t *talk) tell(ws *engine.WebSocket) {
	t.say("connected to %s%s%s", t.to.Shown, ifSet(", subprotocol %s", ws.Subprotocol()), ifSet(", %s", ws.Extensions()))
	if t.verbose {
		t.say("%s", t.details(ws))
	}
}

// read sends what is typed or piped until there is no more.
func (t *talk) read(ctx context.Context) error {
	if t.screen != nil {
		return t.screen.run(ctx, t.link)
	}
	return t.in.run(t.link)
}

// converse sends what stdin has, begins the close, and returns when the
// connection has ended. The error is that of stdin.
func (t *talk) converse(ctx context.Context) error {
	l := t.link
	read := make(chan error, 1)
	go func() { read <- t.read(ctx) }() // ends with the process if stdin does not
	var err error
	select {
	case <-l.Done():
	case <-ctx.Done():
	case err = <-read:
		if err == nil {
			t.stay(ctx)
		}
	}
	code, reason := t.closeCode, t.closeReason
	if ctx.Err() != nil {
		code, reason = engine.StatusGoingAway, ""
	}
	_ = l.Close(code, reason) // checked by cli.CodeFlag
	<-l.Done()
	return err
}

// stay waits for messages after the end of stdin.
func (t *talk) stay(ctx context.Context) {
	var late <-chan time.Time
	if t.count == 0 || t.waitSet {
		late = time.After(t.wait)
	}
	select {
	case <-t.out.enough:
	case <-late:
	case <-t.link.Done():
	case <-ctx.Done():
	}
}

// say writes a line about the connection to stderr. With --json stdout has it.
func (t *talk) say(format string, args ...any) {
	if !t.quiet && !t.json {
		fmt.Fprintf(t.stderr, format+"\n", args...)
	}
}

// ending says how a connection ended.
func ending(code engine.StatusCode, reason string, err error) string {
	return fmt.Sprintf("closed: %s%s%s", code, ifSet(", %q", reason), ifSet(" (%s)", cause(err)))
}
