package cluster

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/internal/callback"
)

// Config is how a Node works. The zero value of each field means its default.
type Config struct {
	// Ring is what is kept in memory of each topic that is followed (256 messages,
	// 1 MiB).
	Ring Budget
	// Page is what one read of the broker's history returns at most (256 messages,
	// 1 MiB); two messages where the first one fills it. The last page of each topic that
	// was read for subscribers who are behind stays in memory too.
	Page Budget
	// CheckEvery is the time between two comparisons of a topic with the broker, about
	// (45 s); of one that is new, two and a half times that at most. It is how long a
	// lost message may go unnoticed where none follows it.
	CheckEvery time.Duration
	// Linger is how long a topic is followed after its last subscriber left (10 s).
	Linger time.Duration
	// Timeout is for one request to the broker (5 s).
	Timeout time.Duration
	// Requests is how many requests for history are under way at a time (8).
	Requests int
	// Retention returns how much of a topic the store keeps; it is asked when a topic is
	// followed, and must not block. nil: what is in memory counts as kept.
	Retention func(topic string) Retention
}

func (c Config) withDefaults() Config {
	c.Ring = c.Ring.or(Budget{Messages: 256, Bytes: 1 << 20})
	c.Page = c.Page.or(Budget{Messages: 256, Bytes: 1 << 20})
	c.Page.Messages = max(c.Page.Messages, 2) // the one at the position, and one more
	c.CheckEvery = orDefault(c.CheckEvery, 45*time.Second)
	c.Linger = orDefault(c.Linger, 10*time.Second)
	c.Timeout = orDefault(c.Timeout, 5*time.Second)
	if c.Requests <= 0 {
		c.Requests = 8
	}
	return c
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Stats counts what a Node did.
type Stats struct {
	Topics int    // followed now
	Heads  uint64 // requests for the end of a topic
	Reads  uint64 // requests for messages
	Gaps   uint64 // reported by the broker, one for each topic
	Holes  uint64 // live messages that did not follow the one before
	Resets uint64 // times that the chain of a topic was broken for good
}

// Node follows topics for its subscribers. It has one chain for each topic,
// however many subscribers the topic has.
type Node struct {
	// Immutable.
	broker Broker
	config Config
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	slots  chan struct{} // one element for each request under way

	heads, reads, gaps, holes, resets atomic.Uint64

	// Guarded by mu, which is taken before that of a feed.
	mu     sync.Mutex
	feeds  map[string]*feed
	spans  map[string]uint64 // offsets for each message where Before has read last, by topic
	closed bool

	// Guarded by gate, which is taken after all others.
	gate    sync.Mutex
	ended   bool           // nothing starts any more
	queue   []*feed        // rounds are wanted of
	workers int            // that make rounds; Config.Requests at most
	work    sync.WaitGroup // goroutines
}

// NewNode returns a node that uses broker. Close it before the broker.
func NewNode(broker Broker, config Config) *Node {
	n := &Node{broker: broker, config: config.withDefaults(), feeds: make(map[string]*feed), spans: make(map[string]uint64)}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.slots = make(chan struct{}, n.config.Requests)
	n.work.Go(n.checkAll)
	return n
}

// Close ends all subscriptions and returns when nothing is under way any more. In a notify
// it does not wait.
func (n *Node) Close() {
	n.mu.Lock()
	n.closed = true
	feeds := n.list()
	clear(n.feeds)
	n.mu.Unlock()
	n.gate.Lock()
	n.ended = true
	n.gate.Unlock()
	n.cancel()
	for _, f := range feeds {
		f.close()
	}
	if !callback.In((*Node).makeRounds) {
		n.work.Wait()
	}
}

// Publish appends a message to the history of a topic and returns when the
// broker has stored it. Subscribers get it by their subscriptions, the
// publisher too. Publish again with the same id after an error that is
// ErrUnavailable. An empty id is replaced by a random one.
func (n *Node) Publish(ctx context.Context, topic, id string, data []byte) (Ack, error) {
	if err := CheckTopic(topic); err != nil {
		return Ack{}, err
	}
	if err := CheckID(id); err != nil {
		return Ack{}, err
	}
	ack, err := n.broker.Publish(ctx, topic, id, data)
	if err == nil {
		n.mu.Lock()
		f := n.feeds[topic]
		n.mu.Unlock()
		if f != nil {
			f.acknowledge(ack.Position)
		}
	}
	return ack, err
}

// Stats returns what was counted so far.
func (n *Node) Stats() Stats {
	n.mu.Lock()
	topics := len(n.feeds)
	n.mu.Unlock()
	return Stats{
		Topics: topics,
		Heads:  n.heads.Load(),
		Reads:  n.reads.Load(),
		Gaps:   n.gaps.Load(),
		Holes:  n.holes.Load(),
		Resets: n.resets.Load(),
	}
}

// Kept returns what is in memory of all topics that are followed, whether it was
// delivered live or read from history: messages, and their bytes as a [Budget] counts
// them. It visits each topic.
func (n *Node) Kept() (all Budget) {
	n.mu.Lock()
	feeds := n.list()
	n.mu.Unlock()
	for _, f := range feeds {
		kept := f.kept()
		all.Messages += kept.Messages
		all.Bytes += kept.Bytes
	}
	return all
}

// list returns the feeds. Under mu.
func (n *Node) list() []*feed {
	feeds := make([]*feed, 0, len(n.feeds))
	for _, f := range n.feeds {
		feeds = append(feeds, f)
	}
	return feeds
}

// enqueue has a worker make rounds of f, unless the node is closed: after a gap
// every topic wants one, so their number bounds the goroutines.
func (n *Node) enqueue(f *feed) bool {
	n.gate.Lock()
	defer n.gate.Unlock()
	if n.ended {
		return false
	}
	n.queue = append(n.queue, f)
	if n.workers < n.config.Requests {
		n.workers++
		n.work.Go(n.makeRounds)
	}
	return true
}

// makeRounds works off the queue.
func (n *Node) makeRounds() {
	for f := n.dequeue(); f != nil; f = n.dequeue() {
		f.run()
	}
}

// dequeue returns the next feed; nil ends the worker.
func (n *Node) dequeue() *feed {
	n.gate.Lock()
	defer n.gate.Unlock()
	if len(n.queue) == 0 || n.ended {
		n.queue = nil
		n.workers--
		return nil
	}
	f := n.queue[0]
	n.queue[0] = nil
	n.queue = n.queue[1:]
	return f
}

// checkAll compares all topics with the broker again and again, one after the
// other and evenly spread.
func (n *Node) checkAll() {
	for {
		n.mu.Lock()
		feeds := n.list()
		n.mu.Unlock()
		pause := n.config.CheckEvery / time.Duration(max(1, len(feeds)))
		if len(feeds) == 0 && !sleep(n.ctx, pause/8) {
			return
		}
		for _, f := range feeds {
			if !sleep(n.ctx, jitter(pause)) {
				return
			}
			f.check()
		}
	}
}

// jitter returns a time between 3/4 and 5/4 of d.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2+1)
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// request runs one request to the broker, with a place and a deadline.
func (n *Node) request(ctx context.Context, ask func(context.Context) error) error {
	select {
	case n.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-n.slots }()
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	return ask(ctx)
}

func (n *Node) head(ctx context.Context, topic string) (head Head, err error) {
	n.heads.Add(1)
	err = n.request(ctx, func(ctx context.Context) error {
		head, err = n.broker.Head(ctx, topic)
		return err
	})
	return head, err
}

// read returns a page from an offset on. One message, which may be that at the
// offset, is no page where there are more: then two are read, however large they are. end
// is the offset of the last message that is known.
func (n *Node) read(ctx context.Context, topic string, from, end uint64) (page []Message, err error) {
	budget := n.config.Page
	for range 3 {
		n.reads.Add(1)
		err = n.request(ctx, func(ctx context.Context) error {
			page, err = n.broker.Read(ctx, topic, from, budget)
			return err
		})
		if err != nil || len(page) != 1 || page[0].Offset >= end {
			break
		}
		budget.Messages, budget.Bytes = 2, min(budget.Bytes, math.MaxInt/16)*16
	}
	return page, err
}

func (n *Node) intact(ctx context.Context, topic string, after uint64) (ok bool, err error) {
	err = n.request(ctx, func(ctx context.Context) error {
		ok, err = n.broker.Intact(ctx, topic, after)
		return err
	})
	return ok, err
}
