package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/telemetry"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/keyed"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/passive"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
	"github.com/fanloop-go/fanloop/engine/cluster/relay"
	"github.com/fanloop-go/fanloop/loop"
)

const (
	connectWithin = 10 * time.Second
	pingEvery     = 25 * time.Second
	storeTimeout  = 5 * time.Second // for what a client waits for
	crewSize      = 64
	settleWithin  = 1500 * time.Millisecond // nodes beat once a second
	crewWaiting   = 4096

	// What costs no command: pings and pongs a second, and the frames of one message.
	controlRate  = 20
	minFragments = 128
	fragment     = 64 // bytes, on the average
)

// Why a node should get no new connections.
var (
	ErrDraining = errors.New("service: the node is draining")
	ErrNoStore  = errors.New("service: NATS cannot be reached")
	ErrNotReady = errors.New("service: revocations of other nodes are not here yet")
	ErrNoKeys   = errors.New("service: there are no keys of accounts.jwks, so nobody can connect; the log says why")
)

// ListenError is why Start cannot listen on the address for clients.
type ListenError struct {
	Address string
	Err     error
}

// Error says which address, and why.
func (e *ListenError) Error() string { return "service: listen on " + e.Address + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ListenError) Unwrap() error { return e.Err }

// Service is one node. Its methods may be called by any goroutine.
type Service struct {
	// Immutable once Start has returned.
	log       *slog.Logger
	config    config.Config
	session   session.Config // without a Backend
	accounts  *accounts
	users     *limits.Table[string]
	addresses *limits.Table[netip.Prefix]
	proxies   proxies.Proxies
	clock     *limits.Clock
	store     *store
	broker    cluster.Broker // of store
	node      *cluster.Node
	server    *engine.Server
	listener  *engine.Listener
	topics    [len(encodings)]*live.Topics
	relay     *relay.Relay // of topics without history
	streams   *streams
	crew      *crew
	presence  *presence.Presence
	passive   *passive.Passive
	kinds     map[string]*kind
	members   *feeds[*presence.Watch]
	notes     *feeds[*passive.Watch]
	counts    *counts
	nodes     *nodes.Nodes
	beating   atomic.Pointer[nodes.Nodes] // nodes, for those that come before it
	name      string                      // of this node, for backends and operators

	tails   *tails
	markers *markers
	taken   *nats.Subscription // of sessions that clients take to other nodes; nil: not yet
	deaf    func()             // ends what is heard of markers; nil: nothing is

	rules     atomic.Pointer[rules.Rules]
	draining  atomic.Bool
	telemetry *telemetry.Telemetry // nil: spans are not recorded
	looking   looking
	traces    traces
	faults    faults
	dropping  sync.Mutex
	refusals  *refusals
	registry  registry
	noted     noted
	writes    writes
	taking    taking
}

// Start runs a node. Shutdown ends it.
func Start(ctx context.Context, c config.Config, log *slog.Logger) (_ *Service, err error) {
	addr, err := net.ResolveTCPAddr("tcp", c.Listen)
	if err != nil {
		return nil, &ListenError{c.Listen, err}
	}
	s := &Service{log: log, config: c, counts: newCounts(), refusals: newRefusals(), registry: newRegistry(), taking: taking{last: make(map[string]time.Time)}, writes: writes{all: make(map[string]map[*write]struct{})}, noted: noted{all: make(map[string]map[*delivery]struct{})}}
	all, err := c.Rules()
	if err != nil {
		return nil, err
	}
	s.rules.Store(all)
	if s.proxies, err = c.Proxies(); err != nil {
		return nil, err
	}
	if t := &c.Traces; t.URL != "" {
		name, _ := c.NodeName() // join returns the error
		s.telemetry = telemetry.New(telemetry.Config{URL: t.URL, Sample: t.Sample, Node: name, Log: log})
	}
	s.session = session.Config{
		Rules: s.rules.Load, Now: time.Now, Limits: limitsOf(&c), Ping: pingEvery, ConnectWithin: connectWithin,
		Development: !c.HasAccounts(),
	}
	defer func() {
		if err != nil {
			_ = s.close(func() error { return s.server.Close() })
		}
	}()
	if err := s.bound(); err != nil {
		return nil, err
	}
	if err := s.join(ctx, addr); err != nil {
		return nil, err
	}
	if err := s.serve(); err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	if err := s.listenTakeovers(); err != nil {
		return nil, fmt.Errorf("service: %w", err)
	}
	if s.streams, err = s.openStreams(); err != nil {
		return nil, fmt.Errorf("service: streams: %w", err)
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// listen lets clients in.
func (s *Service) listen() error {
	secure, err := s.config.TLS(s.log)
	if err != nil {
		return err
	}
	s.listener, err = s.server.ListenWith(s.config.Listen, engine.ListenOptions{TLS: secure, ProxyProtocol: s.proxies.Protocol()})
	if err != nil {
		return &ListenError{s.config.Listen, err}
	}
	return nil
}

// bound makes the limits of users and addresses.
func (s *Service) bound() (err error) {
	s.clock = limits.NewClock()
	l := &s.config.Limits
	if s.users, err = limits.New[string](limits.Config{Limits: l.User.Limits(), Clock: s.clock}); err != nil {
		return err
	}
	s.addresses, err = limits.New[netip.Prefix](limits.Config{Limits: l.Address.Limits(), Clock: s.clock})
	return err
}

// join opens the store and what the cluster shares.
func (s *Service) join(ctx context.Context, addr net.Addr) (err error) {
	s.crew = newCrew(crewSize, crewWaiting, func(err error) { s.failed("a task", err) })
	duplicates := time.Duration(s.session.Limits.Duplicates) * time.Millisecond
	if s.store, err = openStore(ctx, &s.config, duplicates, s.log); err != nil {
		return err
	}
	s.broker = broker{&s.store.spaces}
	s.node = cluster.NewNode(s.broker, cluster.Config{
		Retention: func(topic string) cluster.Retention { return s.rules.Load().Retention(topic) },
	})
	s.tails = newTails(s.node, s.session.Limits.Unread)
	s.markers = &markers{nc: s.store.nc, replicas: s.config.Copies(), lifetime: s.store.age}
	if s.deaf, err = s.store.broker.Listen(markerChannel, markerReceiver{s}); err != nil {
		return err
	}
	if s.name, err = s.config.NodeName(); err != nil {
		return err
	}
	bus := s.topicBus()
	if s.accounts, err = openAccounts(&s.config, addr, s.name, s.others(), s.watched, s.keysFetched()); err != nil {
		return err
	}
	if err := s.await(ctx, s.accounts.revoked.Ready()); err != nil {
		return err
	}
	level := func(topic string) presence.Level { return s.rules.Load().PresenceLevel(topic) }
	if s.presence, err = presence.New(bus, presence.Config{Level: level}); err != nil {
		return err
	}
	if s.passive, err = passive.New(bus, passive.Config{}); err != nil {
		return err
	}
	asking := nodes.Config{Bus: s.store.broker, Name: s.name, Address: s.config.Address, Answer: s.obey, OnPanic: func(err *loop.PanicError) {
		s.failed("what all nodes are asked", err)
	}, OnLate: s.dropAll}
	if s.others() != nil {
		asking.Settle = settleWithin
	}
	if s.nodes, err = nodes.New(asking); err != nil {
		return err
	}
	s.beating.Store(s.nodes)
	s.session.Addresses = s.nodes.Addresses
	s.members = newFeeds(s.watchMembers)
	s.notes = newFeeds(s.watchNotes)
	s.kinds = make(map[string]*kind)
	for name, lifetime := range lifetimes {
		values, err := keyed.New(bus, keyedConfig(name, lifetime))
		if err != nil {
			return err
		}
		s.kinds[name] = s.newKind(name, lifetime, values)
	}
	return nil
}

// others is the bus to other nodes; nil: there can be none.
func (s *Service) others() cluster.Bus {
	if c := &s.config; c.NATS == "" && c.NATSListen == "" && len(c.Routes) == 0 {
		return nil
	}
	return s.store.broker
}

// await waits until this node knows what others have revoked: nobody connects before.
func (s *Service) await(ctx context.Context, ready <-chan struct{}) error {
	if !s.config.HasAccounts() {
		return nil
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("service: the revocations of the other nodes did not come: %w", ctx.Err())
	}
}

// serve makes the server and the topics of it.
func (s *Service) serve() error {
	s.server = &engine.Server{Logger: s.log, HTTP: s.pages(), Batching: batching()}
	if err := s.joinRelay(); err != nil {
		return err
	}
	callbacks := engine.Callbacks{OnText: received, OnBinary: received, OnDrain: drained, OnClose: closed}
	for i, e := range encodings {
		s.topics[i] = live.New(s.node, s.server, live.Config{
			Encoder: &encoder{e, s}, Prefix: sharedTopic(e, liveKind, ""), Ended: s.ended,
		})
		callbacks = s.topics[i].Callbacks(callbacks)
	}
	s.server.Handle("/v1/socket", &engine.Endpoint{
		OnUpgrade:    s.opened,
		Callbacks:    callbacks,
		Origin:       s.origins(),
		Subprotocols: protocol.Subprotocols(),
		Limits: engine.Limits{
			MaxMessage: int64(s.session.Limits.Message), PingInterval: pingEvery, // until enter
			MaxControlRate: controlRate, MaxFragments: max(minFragments, s.session.Limits.Message/fragment),
		},
	})
	return nil
}

// Revoke ends tokens before their time, on all nodes, as revoke.List.Revoke does. Nodes
// are waited for 5 s at most.
func (s *Service) Revoke(ctx context.Context, r revoke.Revocation) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := s.accounts.revoked.Revoke(ctx, r)
	if errors.Is(err, revoke.ErrFull) {
		s.faults.unrevoked.Log(s.log, slog.LevelError, "the list of revocations is full: what is revoked goes on", slog.Int("revocations", s.config.Accounts.MaxRevocations),
			slog.String("advice", "raise accounts.max-revocations and restart, or revoke users in place of single tokens"))
	}
	return err
}

// Addr is where clients connect, as host:port.
func (s *Service) Addr() string { return s.listener.Addr().String() }

// Shutdown ends the node in order: each client gets the frame closing and comes back
// later. When ctx is done, connections that are left are dropped.
func (s *Service) Shutdown(ctx context.Context) error {
	s.Drain()
	return s.close(func() error {
		s.drain()
		return s.server.ShutdownWith(ctx, engine.StatusCode(protocol.Draining.Close()), "")
	})
}

// drain has every session closed, each with a delay and the address of another node: so
// many come back in a second, to each of the others as many.
func (s *Service) drain() {
	sessions, _ := s.registry.count()
	wave, addresses := waveOf(sessions), s.nodes.Addresses()
	s.server.Each(func(ws *engine.WebSocket) {
		if c := engine.Get[*conn](ws); c != nil {
			c.turn(func() {
				c.session.CloseWith(protocol.Draining.Close(), movingTo(addresses, wave))
			})
		}
	})
}

// close ends what runs, in the reverse order of its start.
func (s *Service) close(end func() error) (err error) {
	if s.server != nil {
		err = end()
		for _, t := range s.topics {
			if t != nil {
				t.Close()
			}
		}
	}
	if s.relay != nil {
		s.relay.Close()
	}
	if s.streams != nil {
		s.streams.close()
	}
	if s.taken != nil {
		_ = s.taken.Unsubscribe() // the connection is lost otherwise
	}
	if s.crew != nil {
		s.crew.close()
	}
	if s.deaf != nil {
		s.deaf()
	}
	if s.nodes != nil {
		s.nodes.Close()
	}
	for _, k := range s.kinds {
		k.values.Close()
	}
	if s.passive != nil {
		s.passive.Close()
	}
	if s.presence != nil {
		s.presence.Close()
	}
	if s.accounts != nil {
		s.accounts.close()
	}
	if s.clock != nil {
		s.clock.Close()
	}
	if s.node != nil {
		s.node.Close()
	}
	if s.store != nil {
		s.store.close()
	}
	if s.telemetry != nil {
		ctx, cancel := context.WithTimeout(context.Background(), storeTimeout)
		defer cancel()
		s.telemetry.Close(ctx)
	}
	return err
}

// ended is called when the delivery of a topic ended by itself.
func (s *Service) ended(ws *engine.WebSocket, topic string, err error) {
	s.faults.ended.Log(s.log, slog.LevelDebug, "a subscription ended", slog.Any("err", err))
	c := engine.Get[*conn](ws)
	attempt := c.attempt(topic)
	c.do(func() {
		if attempt != 0 {
			c.session.Unsubscribe(topic, attempt, later(protocol.Unavailable))
		}
	})
}

// lost ends the subscriptions of a topic of which nobody knows what they missed.
func (s *Service) lost(topic string) {
	s.server.Each(func(ws *engine.WebSocket) {
		if c := engine.Get[*conn](ws); c != nil && c.attempt(topic) != 0 {
			c.turn(func() { c.session.Unsubscribe(topic, 0, later(protocol.Unavailable)) })
		}
	})
}

// keepsHistory reports whether messages of a topic are stored.
func (s *Service) keepsHistory(topic string) bool {
	space, err := s.rules.Load().Namespace(topic)
	return err == nil && space.KeepsHistory()
}

// limitsOf is what clients are told.
func limitsOf(c *config.Config) protocol.Limits {
	l := protocol.DefaultLimits()
	l.Message, l.Data, l.Topics = int(c.Limits.Message), int(c.Limits.Data), c.Limits.Topics
	l.Rate, l.Burst = unlimited, unlimited
	for _, rate := range []config.Rate{c.Limits.Address.Commands, c.Limits.User.Commands} {
		if rate.PerSecond > 0 {
			l.Rate, l.Burst = max(1, int(rate.PerSecond)), max(1, int(rate.Burst))
		}
	}
	return l
}

// unlimited is what clients are told of a rate that there is not. As many commands of a
// connection may wait.
const unlimited = 10_000
