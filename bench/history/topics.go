package history

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// ErrConfig is wrapped by the error for settings that cannot be measured.
var ErrConfig = errors.New("history")

// TopicsConfig says what Topics measures.
type TopicsConfig struct {
	Topics int           // each with one subscriber
	Conns  int           // WebSockets that share the topics
	Rate   float64       // publishes in a second, to topics at random
	Size   int           // bytes of a message
	Time   time.Duration // for how long
	Shards int           // streams
	Dir    string        // of the store; "": a temporary one
	Show   func(phase string)
}

// TopicsResult is what Topics measured.
type TopicsResult struct {
	Published, Delivered, Failed int
	// Ack is the time until the stream acknowledged, Delivery until the WebSocket's
	// client has the message; both since the publish was due.
	Ack, Delivery Quantiles
	// Heap of the process once garbage is collected: with the NATS server, its streams
	// and one message in each topic; what node, server, clients and subscriptions take
	// more; and what the publishes take more.
	HeapBroker, HeapNode, HeapPublished uint64
	// Ring is what the node keeps of all topics, as it counts it.
	Ring cluster.Budget
	RSS  uint64 // of the process, at the end
}

// bench is one run of Topics.
type bench struct {
	TopicsConfig
	node   *cluster.Node
	topics *live.Topics

	delivered, failed atomic.Int64

	mu   sync.Mutex // guards what follows
	ack  *hdrhistogram.Histogram
	late *hdrhistogram.Histogram
	lost error
}

// Topics measures publishes over many topics in this process.
func Topics(ctx context.Context, c TopicsConfig) (*TopicsResult, error) {
	if c.Topics < 1 || c.Conns < 1 || c.Rate <= 0 || c.Size < stampSize || c.Time <= 0 {
		return nil, fmt.Errorf("%w: topics, connections, rate and time are positive, and a message has %d bytes at least", ErrConfig, stampSize)
	}
	if c.Dir == "" {
		dir, err := os.MkdirTemp("", "fanloop-history-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		c.Dir = dir
	}
	b := &bench{TopicsConfig: c, ack: newHistogram(), late: newHistogram()}
	return b.run(ctx)
}

func (b *bench) run(ctx context.Context) (*TopicsResult, error) {
	r := &TopicsResult{}
	before := heap()
	b.Show("NATS")
	nats, err := natsserver.Start(natsserver.Options{Dir: b.Dir})
	if err != nil {
		return nil, err
	}
	defer nats.Close()
	broker, err := b.connect(ctx, nats)
	if err != nil {
		return nil, err
	}
	defer broker.Close()
	b.node = cluster.NewNode(broker, cluster.Config{})
	defer b.node.Close()
	b.Show("one message in each topic")
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	r.HeapBroker = heap() - min(before, heap())
	b.Show("subscribe")
	before = heap()
	srv := &engine.Server{}
	b.topics = live.New(b.node, srv, live.Config{Encoder: encoder{}})
	defer b.topics.Close()
	closeClients, err := b.subscribe(ctx, srv)
	defer closeClients()
	if err != nil {
		return nil, err
	}
	r.HeapNode = heap() - min(before, heap())
	before = heap()
	b.Show("publish")
	r.Published = b.publish(ctx)
	b.awaitAll(ctx, int64(r.Published))
	after := heap()
	r.HeapPublished = after - min(before, after)
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Delivered, r.Failed = int(b.delivered.Load()), int(b.failed.Load())
	r.Ack, r.Delivery = quantiles(b.ack), quantiles(b.late)
	r.Ring, r.RSS = b.node.Kept(), resident()
	if r.Delivered != r.Published {
		return r, errors.Join(fmt.Errorf("history: %d messages were stored and %d delivered", r.Published, r.Delivered), b.lost)
	}
	return r, errors.Join(b.lost, ctx.Err())
}

func (b *bench) connect(ctx context.Context, server *natsserver.Server) (*natsbroker.Broker, error) {
	return natsbroker.Connect(ctx, natsbroker.Config{Shards: b.Shards, Options: []nats.Option{server.InProcess()}})
}

func topicName(i int) string { return fmt.Sprintf("topic %d", i) }

// fill stores one message in each topic.
func (b *bench) fill(ctx context.Context) error {
	var next atomic.Int64
	var workers sync.WaitGroup
	errs := make(chan error, publishers)
	for range publishers {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.Topics && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if _, err := b.node.Publish(ctx, topicName(i), "", stamped(0, 0, b.Size)); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	workers.Wait()
	close(errs)
	return errors.Join(<-errs, ctx.Err())
}

// publishers is how many publishes wait for an acknowledgement at a time, at most.
const publishers = 256

// subscribe makes clients whose connections share the topics, and returns when all
// are live.
func (b *bench) subscribe(ctx context.Context, srv *engine.Server) (end func(), err error) {
	var clients []*engine.WebSocket
	end = func() {
		for _, ws := range clients {
			ws.CloseNow()
		}
		_ = srv.Close()
	}
	var next atomic.Int64
	srv.Callbacks = b.topics.Callbacks(engine.Callbacks{})
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		for i := int(next.Add(1)) - 1; i < b.Topics; i += b.Conns {
			if err := b.topics.Subscribe(ws, topicName(i), cluster.Position{}); err != nil {
				b.lose(err)
			}
		}
	}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		return end, err
	}
	for range b.Conns {
		ws, err := engine.Dial(ctx, "ws://"+ln.Addr().String(), &engine.DialOptions{Callbacks: engine.Callbacks{OnBinary: b.receive}})
		if err != nil {
			return end, err
		}
		clients = append(clients, ws)
	}
	for b.topics.Stats().Live < b.Topics {
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return end, err
		}
	}
	return end, nil
}

func (b *bench) receive(_ *engine.WebSocket, data []byte) {
	now := time.Now().UnixNano()
	_, lost := split(data, b.Size, func(_ int, at int64) {
		b.mu.Lock()
		_ = b.late.RecordValue(max(1, now-at)) // over a minute: the last value
		b.mu.Unlock()
		b.delivered.Add(1)
	})
	if lost {
		b.lose(errors.New("history: a subscriber lost its position"))
	}
}

func (b *bench) lose(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost = errors.Join(b.lost, err)
}

// publish publishes at the rate, whatever the acknowledgements do, and returns how
// many were acknowledged.
func (b *bench) publish(ctx context.Context) int {
	due := make(chan int64, int(b.Rate*b.Time.Seconds())+1)
	var acked atomic.Int64
	var workers sync.WaitGroup
	for range publishers {
		workers.Go(func() {
			for at := range due {
				_, err := b.node.Publish(ctx, topicName(rand.IntN(b.Topics)), "", stamped(0, at, b.Size))
				if err != nil {
					b.failed.Add(1)
					continue
				}
				acked.Add(1)
				b.mu.Lock()
				_ = b.ack.RecordValue(max(1, time.Now().UnixNano()-at))
				b.mu.Unlock()
			}
		})
	}
	began := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		at := began.Add(time.Duration(float64(i) / b.Rate * float64(time.Second)))
		if at.Sub(began) >= b.Time {
			break
		}
		time.Sleep(time.Until(at))
		due <- at.UnixNano()
	}
	close(due)
	workers.Wait()
	return int(acked.Load())
}

// awaitAll waits until n messages have arrived, for a while.
func (b *bench) awaitAll(ctx context.Context, n int64) {
	for limit := time.Now().Add(settle); b.delivered.Load() < n && time.Now().Before(limit); {
		if pause(ctx, time.Millisecond) != nil {
			return
		}
	}
}

// settle is how long messages may take that are under way at the end.
const settle = time.Minute

// pause waits, and returns the error of ctx if that ends first.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heap is what is in use once garbage is collected.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what finalizers have freed
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
