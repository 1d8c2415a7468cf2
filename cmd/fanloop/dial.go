package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// dialOptions are the flags of fanloop dial.
type dialOptions struct {
	binary, hex, raw bool
	subprotocols     []string
	headers          []string
	origin           string
	timeout          time.Duration
	maxMessage       int64
	count            int
	wait             time.Duration
	waitSet          bool // --wait was given
	closeCode        engine.StatusCode
	closeReason      string
	quiet            bool
}

func newDial(std stdio) *cobra.Command {
	o := dialOptions{
		timeout:    10 * time.Second,
		maxMessage: 16 << 20,
		wait:       time.Second,
		closeCode:  engine.StatusNormalClosure,
	}
	cmd := &cobra.Command{
		Use:   "dial URL [flags]",
		Short: "Talk to a WebSocket server from the terminal",
		Long: `dial sends every line of stdin as a message and prints every message as a line:
text as it is, binary as hex. At the end of stdin it waits for what still comes,
closes the connection and waits for the server to agree. Ctrl-C closes with 1001.

Exit code:
  0  closed in order: 1000, 1001, 1005, or the --close-code that the server echoed
  1  no connection, or stdout or stdin failed
  2  wrong usage or input
  3  closed with another code, or fewer messages came than --count`,
		Example: `  fanloop dial ws://127.0.0.1:9001/
  echo hello | fanloop dial ws://127.0.0.1:9001/ --count 1
  fanloop dial ws://127.0.0.1:9001/ --subprotocol chat --header 'Authorization: Bearer abc'`,
		Args: oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.waitSet = cmd.Flags().Changed("wait")
			return o.run(cmd.Context(), std, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.binary, "binary", false, "send lines as binary messages")
	flags.BoolVar(&o.hex, "hex", false, "lines are hex digits, sent as binary messages")
	flags.BoolVar(&o.raw, "raw", false, "print bytes as they came: no hex, escapes or line ends")
	flags.StringSliceVar(&o.subprotocols, "subprotocol", nil, "`name` of a subprotocol to offer, the preferred first")
	flags.StringArrayVar(&o.headers, "header", nil, "`header` to add to the request, as 'Name: value'")
	flags.StringVar(&o.origin, "origin", "", "`origin` to send")
	positiveFlag(flags, &o.timeout, "timeout", "time to connect")
	sizeFlag(flags, &o.maxMessage, "max-message", "longest message and line taken; 0: no limit")
	countFlag(flags, &o.count, "count", "after the end of stdin, stay until n messages came in all")
	durationFlag(flags, &o.wait, "wait", "after the end of stdin, stay this long; no limit with --count")
	codeFlag(flags, &o.closeCode, "close-code", "status code to close with; 0 sends none")
	flags.StringVar(&o.closeReason, "close-reason", "", "`text` to close with")
	flags.BoolVar(&o.quiet, "quiet", false, "write messages and errors only")
	return cmd
}

func oneURL(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("dial takes one URL, but there are %d arguments", len(args))
	}
	return nil
}

// run talks until the connection has ended.
func (o *dialOptions) run(ctx context.Context, std stdio, rawURL string) error {
	opt, err := o.engineOptions(std.err)
	if err != nil {
		return err
	}
	address, err := parseURL(rawURL, opt.Header)
	if err != nil {
		return err
	}
	out := newPrinter(std.out, o.count, o.raw)
	in := newSender(std.in, o)
	opt.Callbacks = engine.Callbacks{OnText: out.onText, OnBinary: out.onBinary, OnDrain: in.onDrain}
	ws, err := engine.Dial(ctx, address, opt)
	if err != nil {
		return o.dialError(address, err)
	}
	o.say(std.err, "connected to %s%s", address, ifSet(", subprotocol %s", ws.Subprotocol()))
	go out.run(ws)
	inErr := o.converse(ctx, ws, in, out)
	outErr := out.finish()
	code, reason := ws.CloseStatus()
	o.say(std.err, "closed: %s%s%s", code, ifSet(", %q", reason), ifSet(" (%s)", cause(ws.Err())))
	switch {
	case outErr != nil:
		return fmt.Errorf("cannot write to stdout: %w", outErr)
	case inErr != nil:
		return inErr
	case !o.inOrder(code):
		return errClosed
	case !out.complete():
		o.say(std.err, "%d of %d messages came", out.received(), o.count)
		return errClosed
	}
	return nil
}

// errClosed ends dial with exitClosed; the reason was told.
var errClosed = errors.New("the connection did not end in order")

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
func (o *dialOptions) converse(ctx context.Context, ws *engine.WebSocket, in *sender, out *printer) error {
	read := make(chan error, 1)
	go func() { read <- in.run(ws) }() // ends with the process if stdin does not
	var err error
	select {
	case <-ws.Done():
	case <-ctx.Done():
	case err = <-read:
		if err == nil {
			o.stay(ctx, ws, out)
		}
	}
	code, reason := o.closeCode, o.closeReason
	if ctx.Err() != nil {
		code, reason = engine.StatusGoingAway, ""
	}
	_ = ws.Close(code, reason) // checked by codeFlag
	<-ws.Done()
	return err
}

// stay waits for messages after the end of stdin.
func (o *dialOptions) stay(ctx context.Context, ws *engine.WebSocket, out *printer) {
	var late <-chan time.Time
	if o.count == 0 || o.waitSet {
		late = time.After(o.wait)
	}
	select {
	case <-out.enough:
	case <-late:
	case <-ws.Done():
	case <-ctx.Done():
	}
}

// engineOptions are what the flags mean to the engine.
func (o *dialOptions) engineOptions(stderr io.Writer) (*engine.DialOptions, error) {
	if o.closeCode == 0 && o.closeReason != "" {
		return nil, usagef("--close-reason: without a code there is no reason; give --close-code too")
	}
	if len(o.closeReason) > maxReason {
		return nil, usagef("--close-reason: %d bytes, but a close frame holds at most %d", len(o.closeReason), maxReason)
	}
	if !utf8.ValidString(o.closeReason) {
		return nil, usagef("--close-reason %q: it is not valid UTF-8, as a reason must be", o.closeReason)
	}
	header := make(http.Header)
	for _, h := range o.headers {
		name, text, found := strings.Cut(h, ":")
		if name = strings.TrimSpace(name); !found || name == "" {
			return nil, usagef("--header %q: want 'Name: value'", h)
		}
		header.Add(name, strings.TrimSpace(text))
	}
	log := logOptions{level: slog.LevelWarn, quiet: o.quiet}
	return &engine.DialOptions{
		Header:       header,
		Origin:       o.origin,
		Subprotocols: o.subprotocols,
		Limits: engine.Limits{
			HandshakeTimeout: o.timeout,
			MaxMessage:       orOff(o.maxMessage),
			MaxQueued:        -1, // the sender waits instead
			HighWater:        maxUnsent,
		},
		Logger: log.logger(stderr),
	}, nil
}

// maxReason is how long the reason in a close frame may be (RFC 6455 section
// 5.5.1).
const maxReason = 123

// parseURL checks the URL as far as its user can get it wrong. A user and
// password in it become a header.
func parseURL(rawURL string, header http.Header) (string, error) {
	u, err := url.Parse(rawURL)
	switch {
	case err != nil, u.Scheme != "ws" && u.Scheme != "wss", u.Hostname() == "":
		return "", usagef("%q is not a WebSocket URL: write it like ws://127.0.0.1:9001/path", rawURL)
	case u.Fragment != "": // RFC 6455 section 3
		return "", usagef("%q: a WebSocket URL has no fragment; write # as %%23", rawURL)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		credentials := u.User.Username() + ":" + password
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(credentials)))
		u.User = nil
	}
	return u.String(), nil
}

// dialError says why there is no connection and what to do.
func (o *dialOptions) dialError(address string, err error) error {
	if wrong, ok := errors.AsType[*handshake.HeaderError](err); ok {
		return usagef("%s: %s", wrong.Name, wrong.Reason)
	}
	if answer, ok := errors.AsType[*handshake.StatusError](err); ok {
		if to := answer.Location(); to != "" {
			return fmt.Errorf("%s: the server answered %d and points to %q: dial that", address, answer.Status, to)
		}
		return fmt.Errorf("%s: the server answered %s instead of opening a WebSocket", address,
			strings.TrimSpace(strconv.Itoa(answer.Status)+" "+http.StatusText(answer.Status)))
	}
	if answer, ok := errors.AsType[*handshake.ResponseError](err); ok {
		return fmt.Errorf("%s: what answers there is not a WebSocket server: %s", address, answer.Reason)
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return fmt.Errorf("%s: cannot find %q", address, dns.Name)
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s: nothing listens there; is the server up?", address)
	case errors.Is(err, engine.ErrHandshakeTimeout):
		return fmt.Errorf("%s: no connection within %v; give it longer with --timeout", address, o.timeout)
	case errors.Is(err, engine.ErrAbnormalClosure):
		return fmt.Errorf("%s: the server hung up without an answer", address)
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: interrupted while connecting", address)
	}
	return err
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
	return oneLine(err)
}
