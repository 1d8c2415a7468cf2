package echo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/cmd/fanloop/web"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/handshake"
)

// echoOptions are the flags of fanloop echo.
type echoOptions struct {
	listen          listenOptions
	loops           int
	limits          engine.Limits
	maxHandshakes   int
	shutdownTimeout time.Duration
	origins         []string
	subprotocols    []string
	compression     cli.Compression
	pprofAddr       string
	log             cli.LogOptions
}

// New is the command fanloop echo.
func New(std cli.Stdio) *cobra.Command {
	o := echoOptions{
		listen:          listenOptions{addr: "127.0.0.1:9001"},
		limits:          engine.Limits{MaxQueued: 1 << 20}, // then reading pauses
		shutdownTimeout: 10 * time.Second,
	}
	cmd := &cobra.Command{
		Use:   "echo [flags]",
		Short: "Run an echo server, with a page to try it",
		Long: `echo sends every message back, on every path, and serves a console page at /.

It listens on --addr. With --unix, or if systemd passes sockets (LISTEN_FDS), it
listens there instead, and on --addr too only if you give it. TLS is for all listeners
or none. Pages of other origins may not connect unless --origin lists them.

Ctrl-C or SIGTERM closes every connection with 1001 and waits for the answers
(--shutdown-timeout); a second one ends at once. SIGUSR1 gives freed memory back to the
system and logs what is in use.

Exit code: 0 after a shutdown, 1 if it cannot listen or serve, 2 for wrong usage.`,
		Example: `  fanloop echo
  fanloop echo --addr :9001 --origin https://example.com
  fanloop echo --self-signed --compression on
  fanloop echo --addr :443 --tls-cert cert.pem --tls-key key.pem
  fanloop echo --unix /tmp/fanloop.sock
  FANLOOP_ECHO_MAX_MESSAGE=16MiB fanloop echo --loops 2`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.listen.addrSet = cmd.Flags().Changed("addr")
			return o.run(cmd.Context(), std)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	o.listen.add(flags)
	o.compression.AddFlags(flags)
	cli.CountFlag(flags, &o.loops, "loops", "event loops; 0: as many as GOMAXPROCS")
	cli.DurationFlag(flags, &o.shutdownTimeout, "shutdown-timeout", "wait this long for connections to close at the end")
	flags.StringSliceVarP(&o.origins, "origin", "o", nil, "let pages of `origin` connect, besides those of this server; * is any")
	flags.StringSliceVarP(&o.subprotocols, "subprotocol", "s", nil, "agree to the subprotocol `name`; give the preferred one first")
	flags.StringVar(&o.pprofAddr, "pprof", "", "serve net/http/pprof on `host:port`")
	cli.LevelFlag(flags, &o.log.Level, "log-level", "log from this level on: debug, info, warn or error")
	flags.BoolVarP(&o.log.Quiet, "quiet", "q", false, "print errors only")
	cli.AddLimits(flags, &o.limits, nil)
	cli.CountFlag(flags, &o.maxHandshakes, "max-handshakes", "most TLS handshakes at a time; 0: 1024")
	cli.InGroup(flags, "Limits", "max-handshakes")
	return cmd
}

// run serves until ctx is done.
func (o *echoOptions) run(ctx context.Context, std cli.Stdio) error {
	log := o.log.Logger(std.Err)
	srv, err := o.server(log)
	if err != nil {
		return err
	}
	if o.pprofAddr != "" {
		stop, err := servePprof(o.pprofAddr, log)
		if err != nil {
			return err
		}
		defer stop()
	}
	defer cli.ReturnMemory(srv, log)() // who can connect may signal
	open, err := o.listen.open(srv, log)
	if err != nil {
		return errors.Join(err, srv.Close())
	}
	if !o.log.Quiet {
		fmt.Fprint(std.Out, open)
	}
	select {
	case err := <-open.failed:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	return o.shutdown(srv, log)
}

// shutdown ends the server in order, as far as the time allows.
func (o *echoOptions) shutdown(srv *engine.Server, log *slog.Logger) error {
	log.Info("shutting down; a second signal ends at once", "connections", srv.Conns())
	ctx, cancel := context.WithTimeout(context.Background(), o.shutdownTimeout)
	defer cancel()
	err := srv.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("the shutdown timeout is over; what was left is dropped", "err", cli.OneLine(err))
		return nil
	}
	return err
}

// server is the echo server of o, not started yet.
func (o *echoOptions) server(log *slog.Logger) (*engine.Server, error) {
	if err := cli.CheckLimits(o.limits); err != nil {
		return nil, err
	}
	if err := cli.CheckSubprotocols(o.subprotocols); err != nil {
		return nil, err
	}
	origin, err := originPolicy(o.origins)
	if err != nil {
		return nil, err
	}
	compression, err := o.compression.Engine(0, o.limits)
	if err != nil {
		return nil, err
	}
	return &engine.Server{
		Callbacks:     echoCallbacks,
		Origin:        origin,
		Subprotocols:  o.subprotocols,
		Compression:   compression,
		Limits:        o.limits,
		MaxHandshakes: o.maxHandshakes,
		HTTP:          web.Handler(),
		Logger:        log,
		Loops:         o.loops,
	}, nil
}

// originPolicy allows the server's own pages, and those of the origins listed.
func originPolicy(origins []string) (handshake.OriginPolicy, error) {
	if slices.Contains(origins, "*") {
		return handshake.AllowAnyOrigin, nil
	}
	for _, origin := range origins {
		if err := cli.CheckOrigin(origin, true); err != nil {
			return nil, err
		}
	}
	listed := handshake.AllowOrigins(origins...)
	return func(req *handshake.Request) bool { return handshake.SameHost(req) || listed(req) }, nil
}

// echoCallbacks are those of every connection. One that keeps up with its echo
// costs nothing but its WebSocket.
var echoCallbacks = engine.Callbacks{
	OnText:   func(ws *engine.WebSocket, text []byte) { echo(ws, engine.Text, text) },
	OnBinary: func(ws *engine.WebSocket, data []byte) { echo(ws, engine.Binary, data) },
	OnDrain:  echoHeld,
}

// held is the message that found the queue full.
type held struct {
	op   engine.OpCode
	data []byte
}

func echo(ws *engine.WebSocket, op engine.OpCode, data []byte) {
	if ws.Send(op, data) == engine.ErrBackpressure {
		engine.Set(ws, &held{op, slices.Clone(data)})
		ws.PauseReading()
	}
}

// echoHeld goes on where echo paused. OnDrain comes again if the queue is still
// too full for the message.
func echoHeld(ws *engine.WebSocket) {
	h := engine.Get[*held](ws)
	if h == nil || ws.Send(h.op, h.data) == engine.ErrBackpressure {
		return
	}
	engine.Set[*held](ws, nil)
	ws.ResumeReading()
}
