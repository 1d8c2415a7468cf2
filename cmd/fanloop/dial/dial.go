package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// dialOptions are the flags of fanloop dial.
type dialOptions struct {
	binary, hex, raw bool
	subprotocols     []string
	headers          []string
	origin           string
	limits           engine.Limits
	count            int
	wait             time.Duration
	waitSet          bool // --wait was given
	closeCode        engine.StatusCode
	closeReason      string
	tls              cli.ClientTLS
	compression      cli.Compression
	unix, proxy      string
	reconnect        bool
	verbose, quiet   bool
}

// New is the command fanloop dial.
func New(std cli.Stdio) *cobra.Command {
	o := dialOptions{
		limits:    engine.Limits{MaxMessage: 16 << 20, MaxQueued: engine.NoLimit, HighWater: 1 << 20}, // lines wait instead
		wait:      time.Second,
		closeCode: engine.StatusNormalClosure,
	}
	cmd := &cobra.Command{
		Use:   "dial URL [flags]",
		Short: "Talk to a WebSocket server from the terminal",
		Long: `dial sends every line of stdin as a message and prints every message as a line:
text as it is, binary as hex. At the end of stdin it waits for more messages (--wait),
closes the connection and waits for the server's answer. Ctrl-C closes with 1001.

With --reconnect lines wait until there is a connection. What was under way when
one ended is lost.

Exit code:
  0  closed cleanly: 1000, 1001, 1005, or the --close-code that the server echoed
  1  no connection, or stdout or stdin failed
  2  wrong usage or input
  3  closed with another code, or fewer messages came than --count`,
		Example: `  fanloop dial ws://127.0.0.1:9001/
  echo hello | fanloop dial ws://127.0.0.1:9001/ --count 1
  fanloop dial wss://127.0.0.1:9001/ --insecure --compression on --verbose
  fanloop dial ws://localhost/ --unix /tmp/fanloop.sock
  fanloop dial ws://127.0.0.1:9001/ --subprotocol chat --header 'Authorization: Bearer abc'`,
		Args: oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.waitSet = cmd.Flags().Changed("wait")
			return o.run(cmd.Context(), std, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.binary, "binary", "b", false, "send lines as binary messages")
	flags.BoolVar(&o.hex, "hex", false, "lines are hex digits, sent as binary messages")
	flags.BoolVar(&o.raw, "raw", false, "print bytes as they came: no hex, escapes or line ends")
	flags.StringSliceVarP(&o.subprotocols, "subprotocol", "s", nil, "`name` of a subprotocol to offer, the preferred first")
	flags.StringArrayVarP(&o.headers, "header", "H", nil, "`header` to add to the request, as 'Name: value'")
	flags.StringVarP(&o.origin, "origin", "o", "", "`origin` to send")
	cli.CountFlag(flags, &o.count, "count,n", "after the end of stdin, stay until n messages came in all")
	cli.DurationFlag(flags, &o.wait, "wait,w", "after the end of stdin, stay this long; no limit with --count")
	cli.CodeFlag(flags, &o.closeCode, "close-code", "status code to close with; 0 sends none")
	flags.StringVar(&o.closeReason, "close-reason", "", "`text` to close with")
	o.tls.AddFlags(flags)
	o.compression.AddFlags(flags)
	flags.StringVar(&o.unix, "unix", "", "`path` of a unix socket to connect to, whatever host the URL names")
	flags.StringVarP(&o.proxy, "proxy", "x", "", "`url` of a proxy, http:// or socks5://, or none; otherwise HTTP_PROXY, HTTPS_PROXY and NO_PROXY say")
	flags.BoolVar(&o.reconnect, "reconnect", false, "connect again when the connection ends for a reason that may pass")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "write what was agreed with the server")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "write messages and errors only")
	cli.AddLimits(flags, &o.limits, map[string]string{"HandshakeTimeout": "timeout"}, serverLimits...)
	return cmd
}

// serverLimits mean nothing to dial: MaxQueued, since lines wait at HighWater, and
// those of all connections together.
var serverLimits = []string{"MaxQueued", "MaxMemory", "MaxConnections"}

func oneURL(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("dial takes one URL, but there are %d arguments", len(args))
	}
	return nil
}

// run talks until the connection has ended.
func (o *dialOptions) run(ctx context.Context, std cli.Stdio, rawURL string) error {
	opt, err := o.engineOptions(std.Err)
	if err != nil {
		return err
	}
	to, err := cli.ParseAddress(rawURL)
	if err != nil {
		return err
	}
	out := newPrinter(std.Out, o.count, o.raw)
	in := newSender(std.In, o)
	opt.Callbacks = engine.Callbacks{OnText: out.onText, OnBinary: out.onBinary, OnDrain: in.onDrain}
	l, err := o.connect(ctx, std.Err, to, opt)
	if err != nil {
		return o.dialError(to.Shown, err)
	}
	go out.run(l)
	inErr := o.converse(ctx, l, in, out)
	outErr := out.finish()
	ws, err := l.last()
	if err != nil {
		return errors.Join(inErr, o.dialError(to.Shown, err))
	}
	code, reason := ws.CloseStatus()
	o.say(std.Err, "%s", ending(code, reason, ws.Err()))
	switch {
	case outErr != nil:
		return fmt.Errorf("cannot write to stdout: %w", outErr)
	case inErr != nil:
		return inErr
	case !o.inOrder(code):
		return cli.ErrClosed
	case !out.complete():
		o.say(std.Err, "%d of %d messages came", out.received(), o.count)
		return cli.ErrClosed
	}
	return nil
}

// connect opens the first connection, or with --reconnect begins to.
func (o *dialOptions) connect(ctx context.Context, stderr io.Writer, to cli.Address, opt *engine.DialOptions) (*link, error) {
	l := newLink()
	opened := func(ws *engine.WebSocket) {
		o.say(stderr, "connected to %s%s%s", to.Shown, ifSet(", subprotocol %s", ws.Subprotocol()), ifSet(", %s", ws.Extensions()))
		if o.verbose {
			o.say(stderr, "%s", o.details(ws))
		}
		l.connected(ws)
	}
	if !o.reconnect {
		ws, err := engine.Dial(ctx, to.URL, opt)
		if err == nil {
			opened(ws)
		}
		return l, err
	}
	var err error
	l.again, err = engine.DialReconnecting(context.WithoutCancel(ctx), to.URL, opt, engine.Reconnect{ // converse closes it
		OnConnect: func(ws *engine.WebSocket, _ int) { opened(ws) },
		OnRetry: func(err error, delay time.Duration) {
			why := cli.OneLine(o.dialError(to.Shown, err))
			if ws := l.disconnected(); ws != nil {
				code, reason := ws.CloseStatus()
				why = ending(code, reason, ws.Err())
			}
			o.say(stderr, "%s; next attempt in %v", why, delay.Round(time.Millisecond))
		},
	})
	return l, err
}

// ending says how a connection ended.
func ending(code engine.StatusCode, reason string, err error) string {
	return fmt.Sprintf("closed: %s%s%s", code, ifSet(", %q", reason), ifSet(" (%s)", cause(err)))
}

// details are lines about what was agreed with the server.
func (o *dialOptions) details(ws *engine.WebSocket) string {
	lines := "  address " + ws.RemoteAddr().String()
	if state := ws.TLS(); state != nil {
		lines += o.tls.Details(state)
	}
	return lines
}

// inOrder says whether code is what a connection should end with.
func (o *dialOptions) inOrder(code engine.StatusCode) bool {
	switch code {
	case engine.StatusNormalClosure, engine.StatusGoingAway, engine.StatusNoStatusRcvd:
		return true
	}
	return code == o.closeCode
}

// converse sends what stdin has, begins the close, and returns when the
// connection has ended. The error is that of stdin.
func (o *dialOptions) converse(ctx context.Context, l *link, in *sender, out *printer) error {
	read := make(chan error, 1)
	go func() { read <- in.run(l) }() // ends with the process if stdin does not
	var err error
	select {
	case <-l.Done():
	case <-ctx.Done():
	case err = <-read:
		if err == nil {
			o.stay(ctx, l, out)
		}
	}
	code, reason := o.closeCode, o.closeReason
	if ctx.Err() != nil {
		code, reason = engine.StatusGoingAway, ""
	}
	_ = l.Close(code, reason) // checked by cli.CodeFlag
	<-l.Done()
	return err
}

// stay waits for messages after the end of stdin.
func (o *dialOptions) stay(ctx context.Context, l *link, out *printer) {
	var late <-chan time.Time
	if o.count == 0 || o.waitSet {
		late = time.After(o.wait)
	}
	select {
	case <-out.enough:
	case <-late:
	case <-l.Done():
	case <-ctx.Done():
	}
}

func (o *dialOptions) say(w io.Writer, format string, args ...any) {
	if !o.quiet {
		fmt.Fprintf(w, format+"\n", args...)
	}
}

// ifSet formats s unless it is empty.
func ifSet(format, s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(format, s)
}

// cause is the text of err, "" for none.
func cause(err error) string {
	if err == nil {
		return ""
	}
	return cli.OneLine(err)
}
