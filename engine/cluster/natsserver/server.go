// Package natsserver embeds a NATS server with JetStream, for services that want
// no other process and for tests. It is a package of its own because a program
// that links it grows by the whole server.
//
// A few servers, three or five, hold the streams of a cluster; let further nodes
// connect to them as clients. What a server acknowledges is on its disk as soon
// as Options.Sync has it.
//
// While the disk is full, publishes to streams are not acknowledged; reading goes on, and
// so does all that is not stored. Once there is room, 8 MiB at least, JetStream begins anew
// within seconds. A server that runs as a process of its own has to be restarted then.
package natsserver

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// Sync is when what was stored is written to the disk for good. A server process
// that dies loses nothing with any of them; a machine that dies may.
type Sync int

const (
	// SyncEverySecond: a machine that fails loses the last second at most, of what
	// no other server has.
	SyncEverySecond Sync = iota
	// SyncAlways: before each acknowledgement. Nothing acknowledged is lost; a publish
	// waits for the disk.
	SyncAlways
	// SyncSeldom: every two minutes, which is what NATS does by itself; otherwise when
	// the operating system chooses. For streams with replicas on several machines.
	SyncSeldom
)

// Options is how a server runs.
type Options struct {
	// Dir holds the streams. It is made if need be. Each server needs one of its own. Start
	// records whose it is: a server without a cluster does not start in the Dir of one with,
	// nor the reverse, nor one with another Name or Cluster.Name.
	Dir string
	// Name is unique in a cluster, and stays the same over restarts with the same Dir
	// there. Empty: a random one, for a server on its own.
	Name string
	// Addr is where clients connect, as "host:port"; port 0 is a free one. Empty:
	// only this process, by InProcess. A server of a cluster then listens on a free port
	// of this machine, which takes nobody else.
	Addr string
	// Secret is what clients show as the password of User, and the servers of a cluster
	// to one another. Empty: whoever reaches Addr or Cluster.Addr may do everything.
	Secret string
	// Sync is when writes reach the disk.
	Sync Sync
	// MaxStore is what all streams may use of the disk, in bytes; 0: as NATS has it,
	// three quarters of what is free.
	MaxStore int64
	// Logger gets what the server warns of, and its errors; nil: nobody.
	Logger *slog.Logger
	// Cluster joins other servers; nil: none.
	Cluster *Cluster

	inProcess string // the password where only this process is a client, and yet a port is open
}

// Cluster is the other servers that a server joins.
type Cluster struct {
	Name   string   // the same for all
	Addr   string   // where the others connect, as "host:port"
	Routes []string // where this one connects, as "nats://host:port"
}

// User is the name under which clients show Options.Secret.
const User = "fanloop"

// Server is a NATS server in this process.
type Server struct {
	// Immutable.
	server  *server.Server
	options Options
	dir     *flock.Flock // keeps options.Dir for this server
	log     *logger
	over    chan struct{} // closed by Close
	close   sync.Once
	work    sync.WaitGroup
}

// readyWithin is how long a server may take until clients can connect.
const readyWithin = 30 * time.Second

// Start runs a server and returns when clients can connect. Streams that have
// replicas on other servers are there when enough of those are. It handles no
// signals: call Close before the process ends. The error is ErrInUse if another server
// uses the directory, and a *ModeError if it has the streams of another server.
func Start(o Options) (*Server, error) {
	options, err := o.convert()
	if err != nil {
		return nil, err
	}
	dir, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	var started *Server
	if err = claim(o.Dir, o.mode()); err == nil {
		started, err = start(o, options)
	}
	if err != nil {
		_ = dir.Close()
		return nil, err
	}
	started.dir = dir
	return started, nil
}

// start runs a server in a directory that is locked.
func start(o Options, options *server.Options) (*Server, error) {
	s, err := server.NewServer(options)
	if err != nil {
		return nil, fmt.Errorf("natsserver: %w", err)
	}
	log := &logger{to: o.Logger, fatal: make(chan string, 1), failed: make(chan struct{}, 1)}
	s.SetLoggerV2(log, false, false, false)
	s.Start()
	if err := await(s, log); err != nil {
		s.Shutdown()
		s.WaitForShutdown()
		return nil, err
	}
	started := &Server{server: s, options: o, log: log, over: make(chan struct{})}
	started.work.Go(started.repair)
	return started, nil
}

// await returns when clients can connect, or why they cannot.
func await(s *server.Server, log *logger) error {
	for limit := time.Now().Add(readyWithin); ; {
		ready := s.ReadyForConnections(100 * time.Millisecond)
		select {
		case reason := <-log.fatal:
			return fmt.Errorf("natsserver: %s", reason)
		default:
		}
		switch {
		case ready && !s.JetStreamEnabled():
			return errors.New("natsserver: JetStream is off")
		case ready:
			return nil
		case time.Now().After(limit):
			return fmt.Errorf("natsserver: not ready within %v", readyWithin)
		}
	}
}

// password is what clients show; empty: none.
func (o *Options) password() string { return cmp.Or(o.Secret, o.inProcess) }

func (o *Options) convert() (*server.Options, error) {
	if o.Dir == "" {
		return nil, errors.New("natsserver: set Options.Dir to a directory for the streams")
	}
	if o.Name == "" {
		if o.Cluster != nil {
			return nil, errors.New("natsserver: set Options.Name for a server of a cluster")
		}
		o.Name = "fanloop-" + nuid.Next()
	}
	if o.Cluster != nil && o.Addr == "" {
		o.Addr = "127.0.0.1:0" // routes begin when clients can connect
		o.inProcess = rand.Text()
	}
	options := &server.Options{
		ServerName:        o.Name,
		NoSigs:            true,
		DontListen:        o.Addr == "",
		JetStream:         true,
		StoreDir:          o.Dir,
		JetStreamMaxStore: o.MaxStore,
	}
	switch o.Sync {
	case SyncEverySecond:
		options.SyncInterval = time.Second
	case SyncAlways:
		options.SyncAlways = true
	case SyncSeldom:
	}
	if password := o.password(); password != "" {
		options.Username, options.Password = User, password
	}
	var err error
	if o.Addr != "" {
		if options.Host, options.Port, err = split(o.Addr); err != nil {
			return nil, err
		}
	}
	if c := o.Cluster; c != nil {
		options.Cluster.Name = c.Name
		if o.Secret != "" {
			options.Cluster.Username, options.Cluster.Password = User, o.Secret
		}
		if options.Cluster.Host, options.Cluster.Port, err = split(c.Addr); err != nil {
			return nil, err
		}
		for _, route := range c.Routes {
			options.Routes = append(options.Routes, o.withSecret(server.RoutesFromStr(route))...)
		}
	}
	return options, nil
}

// withSecret adds the secret to the URLs of routes.
func (o *Options) withSecret(routes []*url.URL) []*url.URL {
	for _, route := range routes {
		if o.Secret != "" {
			route.User = url.UserPassword(User, o.Secret)
		}
	}
	return routes
}

// split takes an address apart; port 0 becomes what NATS takes for a free one.
func split(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, fmt.Errorf("natsserver: address %q: %w", addr, err)
	}
	if port, err = strconv.Atoi(text); err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("natsserver: address %q: the port is not a number up to 65535", addr)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return host, port, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.server.ClientURL() }

// RouteURL is where other servers of the cluster connect; empty without Options.Cluster.
func (s *Server) RouteURL() string {
	addr := s.server.ClusterAddr()
	if addr == nil {
		return ""
	}
	return "nats://" + addr.String()
}

// InProcess makes a client connect to this server without a socket.
func (s *Server) InProcess() nats.Option {
	return func(o *nats.Options) error {
		if s.options.inProcess != "" {
			o.User, o.Password = User, s.options.password()
		}
		return nats.InProcessServer(s.server)(o)
	}
}

// Close ends the server and returns when its streams are closed.
func (s *Server) Close() {
	s.close.Do(func() { close(s.over) })
	s.work.Wait()
	s.server.Shutdown()
	s.server.WaitForShutdown()
	_ = s.dir.Close() // the lock ends with the process at the latest
}
