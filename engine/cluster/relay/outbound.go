package relay

import (
	"container/heap"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// outbound sends what this server publishes, numbered in each topic, and says which number
// was the last when a topic is quiet.
type outbound struct {
	// Immutable.
	bus    cluster.Bus
	config Config
	node   uint64
	rouse  func() // has sendHeads called

	sent, failed atomic.Uint64 // messages

	// Guarded by mu, which is held while the bus takes a message, so that numbers go out in
	// order.
	mu     sync.Mutex
	closed bool
	topics map[string]*tail
	heads  tailHeap
	floor  uint64 // the highest number of a topic that was forgotten
	buf    []byte
}

// tail is the last message of a topic.
type tail struct {
	topic  string
	number uint64
	last   time.Time // when it was published
	said   int       // heads that were sent since
	due    time.Time // of the next head
	place  int       // in outbound.heads
}

func newOutbound(bus cluster.Bus, config Config, node uint64, rouse func()) *outbound {
	return &outbound{bus: bus, config: config, node: node, rouse: rouse, topics: make(map[string]*tail)}
}

func (o *outbound) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
}

// publish sends f as the next message of the topic. A message that the bus does not take
// has a number too, so that others find out.
func (o *outbound) publish(topic string, f *frame) error {
	if err := cluster.CheckTopic(topic); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return cluster.ErrClosed
	}
	now := time.Now()
	t := o.topics[topic]
	if t == nil {
		t = &tail{topic: topic, number: o.floor, last: now}
		o.topics[topic] = t
		f.flags |= flagFirst
	}
	t.number++
	f.number, f.age = t.number, now.Sub(t.last)
	t.last = now
	o.plan(t, f.has(flagFirst))
	err := o.send(topic, f)
	if err != nil {
		o.failed.Add(1)
	} else {
		o.sent.Add(1)
	}
	return err
}

// plan has the number of t sent when the topic has been quiet for a while. Where a head is
// due sooner than that already, it is found too early then.
func (o *outbound) plan(t *tail, isNew bool) {
	switch due := t.last.Add(o.config.Tail * tails[0]); {
	case isNew:
		t.due = due
		heap.Push(&o.heads, t)
	case t.said > 0:
		t.said, t.due = 0, due
		heap.Fix(&o.heads, t.place)
	default:
		return
	}
	if t.place == 0 {
		o.rouse()
	}
}

// send gives f to the bus. Under mu.
func (o *outbound) send(topic string, f *frame) error {
	f.node = o.node
	o.buf = f.append(o.buf[:0])
	err := o.bus.Send(cluster.Channel{Kind: o.config.Name, Topic: topic}, o.buf)
	if cap(o.buf) > keptBuffer {
		o.buf = nil
	}
	return err
}

// keptBuffer is the room for a message that is kept.
const keptBuffer = 64 << 10

// headsAtOnce is how many heads are sent before who publishes has a turn.
const headsAtOnce = 64

// sendHeads sends the heads that are due and returns when the next one is; zero: never.
func (o *outbound) sendHeads(now time.Time) (next time.Time) {
	for more := true; more; {
		next, more = o.sendSomeHeads(now)
	}
	return next
}

func (o *outbound) sendSomeHeads(now time.Time) (next time.Time, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for range headsAtOnce {
		if len(o.heads) == 0 {
			return time.Time{}, false
		}
		t := o.heads[0]
		if t.due.After(now) {
			return t.due, false
		}
		o.sayHead(t, now)
	}
	return now, true
}

// sayHead sends the number of t if the topic is quiet, and plans the next time.
func (o *outbound) sayHead(t *tail, now time.Time) {
	due := t.last.Add(o.config.Tail * tails[t.said])
	if !due.After(now) {
		f := frame{flags: flagHead, number: t.number, age: now.Sub(t.last)}
		if t.said == len(tails)-1 {
			f.flags |= flagLast
		}
		if o.send(t.topic, &f) != nil { // later
			due = now.Add(o.config.Tail)
		} else if t.said++; t.said == len(tails) {
			heap.Pop(&o.heads)
			delete(o.topics, t.topic)
			o.floor = max(o.floor, t.number)
			return
		} else {
			due = t.last.Add(o.config.Tail * tails[t.said])
		}
	}
	t.due = due
	heap.Fix(&o.heads, 0)
}

// tailHeap has the tail whose head is due first in front.
type tailHeap []*tail

func (h tailHeap) Len() int           { return len(h) }
func (h tailHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }

func (h tailHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

// Push implements heap.Interface.
func (h *tailHeap) Push(x any) {
	t := x.(*tail)
	t.place = len(*h)
	*h = append(*h, t)
}

// Pop implements heap.Interface.
func (h *tailHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return t
}
