package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/scenario"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// benchServeOptions are the flags of fanloop bench serve.
type benchServeOptions struct {
	addr        string
	loops       int
	tls         bool
	deferAccept bool
	compression load.Compression
	peer        string
	peersDir    string
	log         cli.LogOptions
}

func newBenchServe(std cli.Stdio) *cobra.Command {
	o := benchServeOptions{addr: "127.0.0.1:9002", compression: load.Off, peersDir: "bench/peers"}
	cmd := &cobra.Command{
		Use:   "serve [flags]",
		Short: "Serve the bench protocol with fanloop or a peer",
		Long: `serve echoes every message at any path; a message whose first byte is B goes to
every connected client. Clients that connect with ?topic=N get what is published
on their topic only.

SIGUSR1 gives freed memory back to the system and logs what is in use.`,
		Example: `  fanloop bench serve --addr 127.0.0.1:9002 --loops 1
  fanloop bench serve --tls --compression deflate
  fanloop bench serve --peer gorilla`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.peer != "" {
				return o.servePeer(cmd.Context())
			}
			return o.serve(cmd.Context(), std)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.addr, "addr", "a", o.addr, "`host:port` to listen on; port 0 takes a free one")
	cli.CountFlag(flags, &o.loops, "loops", "event loops; 0: as many as GOMAXPROCS")
	flags.BoolVar(&o.tls, "tls", false, "speak wss, with a certificate made for this run")
	flags.BoolVar(&o.deferAccept, "defer-accept", false, "accept connections when the client has sent something (Linux)")
	cli.ChoiceFlag(flags, &o.compression, "compression", "permessage-deflate to agree to: off, deflate or takeover", load.Off, load.Deflate, load.Takeover)
	flags.StringVar(&o.peer, "peer", "", "`name` of a peer to serve with instead of fanloop")
	flags.StringVar(&o.peersDir, "peers-dir", o.peersDir, "`folder` with the sources of the peers")
	cli.LevelFlag(flags, &o.log.Level, "log-level", "least level logged: debug, info, warn or error")
	flags.BoolVarP(&o.log.Quiet, "quiet", "q", false, "write errors only")
	_ = cmd.RegisterFlagCompletionFunc("peer", cli.CompleteList(func() []string { return peerNames(o.peersDir) })) // the first
	return cmd
}

func (o *benchServeOptions) serve(ctx context.Context, std cli.Stdio) error {
	log := o.log.Logger(std.Err)
	srv, err := bench.NewServer(bench.Options{Loops: o.loops, Log: log, TLS: o.tls, Compression: o.compression})
	if err != nil {
		return usageIfConfig(err)
	}
	defer cli.ReturnMemory(srv, log)() // who can connect may signal
	addr, err := srv.ListenWith(o.addr, engine.ListenOptions{TLS: srv.TLS, DeferAccept: o.deferAccept})
	if err != nil {
		return errors.Join(cli.ListenError("--addr", o.addr, err), srv.Close())
	}
	if !o.log.Quiet {
		fmt.Fprintln(std.Out, "listening", addr)
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// servePeer becomes the peer, so that signals and CPU time are its own.
func (o *benchServeOptions) servePeer(ctx context.Context) error {
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return cli.ListenError("--addr", o.addr, &net.AddrError{Err: "missing port in address", Addr: o.addr})
	}
	if names := peerNames(o.peersDir); len(names) > 0 && !slices.Contains(names, o.peer) {
		return cli.Usagef("--peer %q: want one of %s%s", o.peer, strings.Join(names, ", "), cli.DidYouMean(o.peer, names))
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("no folder for the peers' program; set HOME or XDG_CACHE_HOME: %w", err)
	}
	dir := filepath.Join(cache, "fanloop", "bench")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	catalog := scenario.Catalog{Dir: dir, PeersDir: o.peersDir}
	path, err := catalog.BuildPeers(ctx)
	if err != nil {
		return err
	}
	args := []string{path, o.peer, o.addr}
	if o.loops > 0 {
		args = append(args, strconv.Itoa(o.loops))
	}
	if o.tls {
		args = append(args, "+tls")
	}
	if o.compression != load.Off {
		args = append(args, "+"+string(o.compression))
	}
	return fmt.Errorf("start the peers' program: %w", syscall.Exec(path, args, os.Environ()))
}
