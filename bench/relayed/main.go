//go:build linux

// Command relayed is a server of the bench protocol that consists of several nodes: each
// is a Server of its own, with a loop, and NATS carries the topics from one to the others.
// They listen on one address, and the kernel spreads the clients over them. So the fan-out
// scenario measures what a delivery costs over several nodes, NATS included if it is
// embedded:
//
//	go build -o bin/relayed ./bench/relayed
//	fanloop bench fanout --conns 3000 --servers fanloop,nodes="bin/relayed --addr {addr}" --base fanloop
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
)

// options are what the flags say.
type options struct {
	addr  string
	nodes int
	nats  string // URL; empty: embedded
}

func main() {
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:9001", "where all nodes listen")
	flag.IntVar(&o.nodes, "nodes", 3, "how many servers share the clients")
	flag.StringVar(&o.nats, "nats", "", "URL of NATS; empty: a server in this process")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx, func() {}); err != nil {
		fmt.Fprintln(os.Stderr, "relayed:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. ready is called when every node hears the others.
func (o *options) run(ctx context.Context, ready func()) error {
	config := natsbroker.Config{URL: o.nats, Shards: 1}
	if o.nats == "" {
		dir, err := os.MkdirTemp("", "relayed")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		server, err := natsserver.Start(natsserver.Options{Dir: dir})
		if err != nil {
			return err
		}
		defer server.Close()
		config.Options = []nats.Option{server.InProcess()}
	}
	for range o.nodes {
		end, err := o.startNode(ctx, config)
		if err != nil {
			return err
		}
		defer end()
	}
	ready()
	<-ctx.Done()
	return nil
}

// startNode starts one node, which hears the others from then on.
func (o *options) startNode(ctx context.Context, config natsbroker.Config) (end func(), err error) {
	broker, err := natsbroker.Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	srv, err := bench.NewServer(bench.Options{Loops: 1, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		broker.Close()
		return nil, err
	}
	r, err := relay.Join(srv, broker, relay.Config{Linger: 24 * time.Hour})
	if err != nil {
		broker.Close()
		return nil, err
	}
	end = func() {
		_ = srv.Close()
		r.Close()
		broker.Close()
	}
	if err := o.serve(ctx, srv, r); err != nil {
		end()
		return nil, err
	}
	return end, nil
}

// serve listens on the shared address when the node hears the others, which a first
// subscriber brings about: a client's first message must reach everybody.
func (o *options) serve(ctx context.Context, srv *engine.Server, r *relay.Relay) error {
	own, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	first, err := engine.Dial(ctx, "ws://"+own.String(), nil)
	if err != nil {
		return err
	}
	for r.Stats().Topics == 0 {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	first.CloseNow()
	<-first.Done()
	nl, err := listenShared(ctx, o.addr)
	if err != nil {
		return err
	}
	go func() {
		if err := srv.Serve(nl); err != nil && !errors.Is(err, engine.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "relayed:", err)
		}
	}()
	return nil
}

// listenShared listens on an address on which others of this process may listen.
func listenShared(ctx context.Context, addr string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		cerr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(cerr, err)
	}}
	return config.Listen(ctx, "tcp", addr)
}
