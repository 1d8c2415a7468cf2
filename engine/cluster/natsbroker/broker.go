package natsbroker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/callback"
)

// Broker is a connection to NATS as a [cluster.Broker] and a [cluster.Bus].
type Broker struct {
	// Immutable.
	given    Config    // without defaults
	began    time.Time // has a monotonic clock, which goes on while the process is stopped
	config   Config
	nc       *nats.Conn
	js       jetstream.JetStream
	shards   []*shard
	name     sender           // of this Broker on the bus
	out      *outbox          // what is sent over core NATS
	lanes    []chan *nats.Msg // live messages, of many topics each
	busLanes []chan *nats.Msg // messages on the bus, of many channels each
	ended    chan struct{}    // closed by Close
	work     sync.WaitGroup
	sending  sync.WaitGroup // of out

	// Read by anyone.
	connected  atomic.Bool  // as far as the client knows; asking it would wait for a write of its
	maxPayload atomic.Int64 // of the server
	heard      atomic.Int64 // when the last probe came back, as UnixNano
	lastGap    atomic.Int64 // when the last gap was reported, as UnixNano

	// up is a context that ends when the connection is lost, with what it waits for.
	up atomic.Pointer[connection]

	// attempts counts those to connect again: before a message of a connection that was
	// made anew is delivered, it is not what noticed is.
	attempts atomic.Uint64
	noticed  atomic.Uint64 // attempts up to the last whose outcome is known; written under gapping

	// Guarded by gapping, which is taken before mu.
	gapping    sync.Mutex
	reconnects uint64 // of the connection, reported as gaps

	// Guarded by mu.
	mu          sync.RWMutex
	subscribers map[*nats.Subscription]subscriber
	next        int // the lane of the next subscriber
	closed      bool
}

// connection is the time from one connect to the loss of the connection.
type connection struct {
	ctx  context.Context
	lost context.CancelFunc
}

// begin makes requests from now on wait for the end of another connection, and
// ends those that wait for an answer of the one before: it will not come.
func (b *Broker) begin() {
	var c connection
	c.ctx, c.lost = context.WithCancel(context.Background())
	if old := b.up.Swap(&c); old != nil {
		old.lost()
	}
}

var (
	_ cluster.Broker = (*Broker)(nil)
	_ cluster.Bus    = (*Broker)(nil)
)

// Connect connects to NATS, and makes the streams if they are not there. Close
// the Broker after the Node that uses it.
func Connect(ctx context.Context, config Config) (*Broker, error) {
	given := config
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Broker{given: given, began: time.Now(), config: config, name: newSender(), out: newOutbox(), ended: make(chan struct{}), subscribers: make(map[*nats.Subscription]subscriber)}
	b.begin()
	options := append([]nats.Option{nats.Name("fanloop"), nats.ReconnectWait(250 * time.Millisecond)}, config.Options...)
	b.nc, err = nats.Connect(config.URL, append(options,
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),              // a publish without a connection fails at once
		nats.FlusherTimeout(config.ProbeEvery), // a write that waits longer is the end of the connection
		nats.ReconnectOnFlusherError(),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.connect(nc); b.noticeReconnect() }),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { b.connected.Store(false); b.begin() }),
		nats.ErrorHandler(b.onError),
		b.countAttempts,
	)...)
	if err != nil {
		return nil, fmt.Errorf("natsbroker: no connection to %s: %w: %w", redacted(config.URL), cluster.ErrUnavailable, err)
	}
	b.connect(b.nc)
	if err := b.open(ctx); err != nil {
		b.nc.Close()
		return nil, err
	}
	return b, nil
}

// countAttempts has attempts to connect again counted by the client's goroutine that makes
// them, before it does.
func (b *Broker) countAttempts(o *nats.Options) error {
	choose := o.ReconnectToServerCB
	o.ReconnectToServerCB = func(servers []nats.Server, info nats.ServerInfo) (*nats.Server, time.Duration) {
		b.attempts.Add(1)
		if choose == nil {
			return nil, 0
		}
		return choose(servers, info)
	}
	return nil
}

// connect notes that there is a connection, whose silence begins now.
func (b *Broker) connect(nc *nats.Conn) {
	b.heard.Store(time.Now().UnixNano())
	b.maxPayload.Store(nc.MaxPayload())
	b.connected.Store(true)
}

// over says whether Close was called.
func (b *Broker) over() bool {
	select {
	case <-b.ended:
		return true
	default:
		return false
	}
}

// open finds the streams and starts what delivers.
func (b *Broker) open(ctx context.Context) (err error) {
	if b.js, err = jetstream.New(b.nc); err != nil {
		return unavailable(err)
	}
	if err := b.openShards(ctx); err != nil {
		return err
	}
	b.lanes, b.busLanes = b.openLanes(lanes), b.openLanes(busLanes)
	b.sending.Go(b.send)
	if err := b.startProbe(); err != nil {
		close(b.ended)
		b.sending.Wait()
		b.work.Wait()
		return unavailable(err)
	}
	b.work.Go(b.beats)
	return nil
}

// openLanes starts what hands on the messages of n lanes.
func (b *Broker) openLanes(n int) (opened []chan *nats.Msg) {
	for range n {
		lane := make(chan *nats.Msg, queued)
		b.work.Go(func() { b.deliver(lane) })
		opened = append(opened, lane)
	}
	return opened
}

// Close ends the connection. Nothing is delivered when it has returned. Where something is
// delivered, or in OnGap, it does not wait.
func (b *Broker) Close() {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if !closed {
		close(b.ended)
		b.sending.Wait() // what was sent goes out
		b.nc.Close()
		b.up.Load().lost()
	}
	if !callback.In((*Broker).deliver, (*Broker).probe, (*shard).beat, (*Broker).tellGap) {
		b.work.Wait()
	}
}

// redacted is a Config.URL without passwords and tokens.
func redacted(list string) string {
	urls := strings.Split(list, ",")
	for i, one := range urls {
		scheme, rest, found := strings.Cut(one, "://")
		if !found {
			scheme, rest = "nats", one
		}
		if at := strings.LastIndex(rest, "@"); at >= 0 {
			rest = "xxxxx" + rest[at:]
		}
		urls[i] = strings.TrimSpace(scheme) + "://" + rest
	}
	return strings.Join(urls, ",")
}

// unavailable wraps the reason for which the broker did not answer.
func unavailable(err error) error {
	return fmt.Errorf("natsbroker: %w: %w", cluster.ErrUnavailable, err)
}

// within returns ctx with a deadline; it ends with the connection too.
func (b *Broker) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	stop := context.AfterFunc(b.up.Load().ctx, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}

// Publish implements cluster.Broker.
func (b *Broker) Publish(ctx context.Context, topic, id string, data []byte) (cluster.Ack, error) {
	ack, err := b.store(ctx, topic, id, data)
	if errors.Is(err, cluster.ErrUnavailable) {
		err = fmt.Errorf("%w; publish again with the same id, so that it is stored once", err)
	}
	return ack, err
}

// store is Publish.
func (b *Broker) store(ctx context.Context, topic, id string, data []byte) (cluster.Ack, error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return cluster.Ack{}, err
	}
	if err := cluster.CheckID(id); err != nil {
		return cluster.Ack{}, err
	}
	if id == "" {
		id = nuid.Next()
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	s := b.shardOf(topic)
	for again := false; ; again = true {
		epoch := s.state.Load().epoch
		ack, err := b.publish(ctx, s, epoch, topic, id, data)
		switch {
		case err == nil:
			return ack, nil
		case errors.Is(err, nats.ErrMaxPayload):
			return cluster.Ack{}, fmt.Errorf("natsbroker: %d bytes are more than the server allows: %w: %w", len(data), cluster.ErrTooLarge, err)
		case errors.Is(err, context.DeadlineExceeded):
			return cluster.Ack{}, unavailable(fmt.Errorf("%w: %w", errNotAcknowledged, err))
		case again || !errors.Is(err, jetstream.ErrNoStreamResponse):
			return cluster.Ack{}, unavailable(err)
		}
		state, err := s.ask(ctx, time.Now()) // nobody takes this subject: a new epoch?
		if err != nil {
			return cluster.Ack{}, err
		}
		if state.epoch == epoch {
			return cluster.Ack{}, unavailable(jetstream.ErrNoStreamResponse)
		}
	}
}

// errNotAcknowledged says why NATS may be silent.
var errNotAcknowledged = errors.New("the stream did not acknowledge in time; if that goes on, its disk may be full, or too few servers are up: see their logs")

func (b *Broker) publish(ctx context.Context, s *shard, epoch, topic, id string, data []byte) (cluster.Ack, error) {
	m := nats.NewMsg(s.stored(epoch, tokenOf(topic)))
	m.Data = data
	m.Header.Set(jetstream.MsgIDHeader, msgID(topic, id))
	ack, err := b.js.PublishMsg(ctx, m)
	if err != nil {
		return cluster.Ack{}, err
	}
	if ack.Sequence == 0 {
		return cluster.Ack{}, errors.New("the publish of this id is not stored yet")
	}
	at := cluster.Position{Epoch: epoch, Offset: ack.Sequence, ID: id}
	if ack.Duplicate {
		stored, err := s.get(ctx, leaderGet{Seq: at.Offset})
		if err != nil {
			return cluster.Ack{}, err
		}
		if stored != nil && (stored.message(topic).Position() != at || stored.Subject != m.Subject) {
			return cluster.Ack{}, fmt.Errorf("the server has another message at %d", at.Offset)
		}
	}
	return cluster.Ack{Position: at, Duplicate: ack.Duplicate}, nil
}
