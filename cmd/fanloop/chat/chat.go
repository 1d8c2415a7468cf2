// Package chat is the command fanloop chat: a chat service with its page, on one node
// or several. PROTOCOL.md is what clients speak, BACKEND.md what a company's backend
// needs to know. Package service below it is the node.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/idempotency"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/metrics"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// New is the command fanloop chat.
func New(std cli.Stdio) *cobra.Command {
	var log cli.LogOptions
	cmd := &cobra.Command{
		Use:   "chat [flags]",
		Short: "Run a chat service",
		Long: `chat serves a page where people talk in rooms, and clients of the chat protocol by
WebSockets (/v1/socket), or by streams where those are blocked (/v1/stream).
The JavaScript client is at /fanloop.js.

Messages are kept by a NATS server in this process: in --data-dir, or without one until
the process stops. Three or five nodes keep them together: give each --name, --data-dir,
--cluster, its own address, and --routes, those of all. --nats uses NATS servers that run
elsewhere, such as those of other nodes (--nats-listen).

Without accounts, users choose their names themselves, and only loopback addresses are
served. The page says so.

Metrics, health, profiles and the server API are on another address (--admin), for this
machine, or with a key or a certificate. To have two nodes on one machine, give each its
own.

Ctrl-C, SIGTERM or SIGHUP has every client come back later and waits for connections to close
(--shutdown-timeout); a second one ends at once. SIGUSR1 gives freed memory back to the
system and logs what is in use.

Exit code: 0 after a shutdown, 1 if it cannot serve, 2 for wrong usage.`,
		Example: `  fanloop chat
  fanloop chat --data-dir /var/lib/fanloop --config chat.yaml
  FANLOOP_CHAT_LISTEN=127.0.0.1:9000 fanloop chat`,
		Args: cli.NoArguments,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	settings := config.AddFlags(flags)
	cli.InGroup(flags, "For operators and backends", "admin", "admin-tls-cert", "admin-tls-key", "admin-client-ca")
	cli.InGroup(flags, "Several nodes", "name", "address", "cluster", "routes", "nats-listen", "nats", "nats-secret-file")
	cli.LevelFlag(flags, &log.Level, "log-level", "log from this level on: debug, info, warn or error")
	flags.BoolVarP(&log.Quiet, "quiet", "q", false, "print errors only")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := settings.Load()
		if err != nil {
			return cli.Usagef("%v", err)
		}
		for _, line := range cli.UnknownVariables(cmd) {
			fmt.Fprintln(std.Err, "fanloop: "+line)
		}
		return run(cmd.Context(), c, log, std)
	}
	return cmd
}

// run serves until ctx is done.
func run(ctx context.Context, c config.Config, o cli.LogOptions, std cli.Stdio) error {
	log := o.Logger(std.Err)
	s, err := service.Start(ctx, c, log)
	mode, other := errors.AsType[*natsserver.ModeError](err)
	switch listen := (*service.ListenError)(nil); {
	case err != nil && ctx.Err() != nil:
		log.Info("ended before it served", "err", context.Cause(ctx))
		return nil
	case errors.As(err, &listen):
		return cli.ListenError("--listen", listen.Address, listen.Err)
	case other:
		return otherMode(mode)
	case err != nil:
		return err
	}
	cli.CollectSooner()
	defer cli.ReturnMemory(s.Engine(), log)()
	operators, err := serveAdmin(&c, s, log)
	if err != nil {
		return errors.Join(err, end(s, nil, c.ShutdownTimeout))
	}
	if !o.Quiet {
		fmt.Fprint(std.Out, startLines(&c, s, operators))
	}
	<-ctx.Done()
	sessions := s.Stats().Sessions
	log.Info("shutting down; a second signal ends at once", "sessions", sessions)
	s.Drain()
	time.Sleep(c.ShutdownDelay)
	if err := end(s, operators, c.ShutdownTimeout); err != nil {
		return err
	}
	log.Info("ended: all connections are closed, and what was acknowledged is stored")
	return nil
}

// otherMode says how to start in a folder that another node used, or this one with other
// settings.
func otherMode(e *natsserver.ModeError) error {
	whose, before := "a node without --cluster and --routes", "without them"
	if e.Had.Cluster != "" {
		whose, before = "a node of a cluster", "with its --name, --cluster and --routes"
		if e.Had.Name != "" {
			whose = fmt.Sprintf("node %q of a cluster", e.Had.Name)
		}
	}
	return cli.Usagef("--data-dir %s has the messages of %s: start it %s as before, or choose another folder with --data-dir", e.Dir, whose, before)
}

// startLines say where the node is, who is let in and where messages are kept. Those of a
// node with a name begin with it.
func startLines(c *config.Config, s *service.Service, operators *admin.Server) string {
	scheme := ""
	if c.TLSCert != "" {
		scheme = "s"
	}
	lines := []string{fmt.Sprintf("listening on http%s://%s/  ws%[1]s://%[2]s/v1/socket", scheme, s.Addr())}
	if !c.HasAccounts() {
		lines = append(lines, "without accounts: whoever opens the page chooses a name; only this machine is served")
	}
	if operators != nil {
		lines = append(lines, "operators: "+operators.URL()+"/admin")
	}
	lines = append(lines, "messages: "+keptIn(c))
	name := ""
	if c.Name != "" {
		name = c.Name + ": "
	}
	return name + strings.Join(lines, "\n"+name) + "\n"
}

// keptIn is where messages are kept.
func keptIn(c *config.Config) string {
	switch {
	case c.NATS != "":
		return "kept by the NATS servers of --nats"
	case len(c.Routes) > 0:
		return fmt.Sprintf("kept in %s, and by the other %d nodes of the cluster", c.DataDir, len(c.Routes)-1)
	case c.DataDir != "":
		return "kept in " + c.DataDir
	}
	return "kept until this process ends; --data-dir keeps them"
}

// serveAdmin serves the admin address; nil if there is none.
func serveAdmin(c *config.Config, s *service.Service, log *slog.Logger) (*admin.Server, error) {
	if c.Admin == "" {
		return nil, nil
	}
	key, err := c.OperatorKey()
	if err != nil {
		return nil, err
	}
	callers, err := c.APICallers()
	if err != nil {
		return nil, err
	}
	secure, err := c.AdminTLS(log)
	if err != nil {
		return nil, err
	}
	server, err := admin.Listen(c.Admin, admin.New(admin.Config{
		Node: s, Metrics: metrics.Registry(s), Callers: callers, Log: log,
		OperatorKey: key, OperatorCertificates: c.Operator.Certificates, TLS: secure, Tracer: s.Tracer(),
		Idempotency: idempotency.Config{
			Keep: c.Idempotency.Keep, MaxKeys: c.Idempotency.MaxKeys, MaxBytes: int(c.Idempotency.MaxBytes),
		},
	}))
	if err != nil {
		return nil, cli.ListenError("--admin", c.Admin, err)
	}
	return server, nil
}

// end ends the node, and what operators see of it last.
func end(s *service.Service, operators *admin.Server, within time.Duration) error {
	ending, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := s.Shutdown(ending)
	if operators != nil {
		operators.Shutdown(ending)
	}
	return err
}
