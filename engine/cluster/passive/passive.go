// Package passive tells subscribers that there is something in a topic, and not
// what: a counter, in at most one small message for an interval. Most members of a
// big room, and of many rooms, need no more until they open it.
//
// The nodes that publish count, and tell the nodes that watch, once in an interval.
// Nothing is stored: the counters of a node end with it, or when the topic was quiet
// for a while, and begin anew at a random number. So a count has no meaning but this:
// if it is not the one that the client had, look. There may be nothing: the count of
// a quiet topic changes from time to time.
//
// What is not noticed is a message of a node that dies within Config.Keep, by a client
// that is away for all of that time: the count is that of before.
package passive

import (
	"container/list"
	"encoding/binary"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// Config is how a Passive works. The zero value of each field means its default.
type Config struct {
	// Name keeps several apart on one bus ("passive"): letters, digits, - and _.
	Name string
	// Every is the time between two notes of a topic at least (5 s). Between nodes it
	// takes up to half of it more.
	Every time.Duration
	// Keep is how long a node keeps the counter of a topic after its last message
	// (10 min).
	Keep time.Duration
}

// Note is what a client gets. There may be several messages behind one.
type Note struct {
	Topic string
	// Count is another one than all before, and one of before where a node was cut off
	// and is back. It is below 2^53.
	Count uint64
}

// Passive is the part of a node that counts messages of topics. Its methods may be
// called by any goroutine.
type Passive struct {
	config Config        // immutable
	group  *mirror.Group // its mutex guards all below, and all counters

	own   map[string]*list.Element // counters of this node, in quiet
	quiet list.List                // of *own, the one that was quiet longest first
	end   mirror.Task
}

// own is what this node published to a topic.
type own struct {
	topic string
	count uint64
	last  time.Time
}

// counter is what a node knows of one topic.
type counter struct {
	count   uint64 // the sum of all nodes' counters
	nodes   int    // that have a counter
	told    uint64 // the sum that was noted last, without counters that have ended since
	watches map[*Watch]struct{}
	task    mirror.Task
	running bool
	last    time.Time // when it was told
}

// largest is the largest count: JavaScript has no larger whole numbers.
const largest = 1<<53 - 1

// theKey is the one key of each node's counter.
const theKey = "n"

// New returns a Passive that talks to those of the same name on other nodes by the
// bus. Close it before the bus.
func New(bus cluster.Bus, config Config) (*Passive, error) {
	if config.Name == "" {
		config.Name = "passive"
	}
	if config.Every <= 0 {
		config.Every = 5 * time.Second
	}
	if config.Keep <= 0 {
		config.Keep = 10 * time.Minute
	}
	p := &Passive{config: config, own: make(map[string]*list.Element)}
	p.end.Do = p.expire
	group, err := mirror.New(bus, mirror.Config{Kind: config.Name, Flush: config.Every / 2, Change: p.change})
	if err != nil {
		return nil, err
	}
	p.group = group
	return p, nil
}

// Close ends all watches and returns when no note is delivered any more. In a note it does
// not wait.
func (p *Passive) Close() { p.group.Close() }

// Add counts one message of a topic. Call it on the node that publishes.
func (p *Passive) Add(topic string) error {
	if err := cluster.CheckTopic(topic); err != nil {
		return err
	}
	p.group.Lock()
	defer p.group.Unlock()
	e := p.own[topic]
	var o *own
	if e != nil {
		o = e.Value.(*own)
	} else {
		o = &own{topic: topic, count: rand.Uint64N(largest)}
	}
	if err := p.group.Put(topic, theKey, encode(o.count+1)); err != nil {
		return err
	}
	o.count++
	o.last = time.Now()
	if e == nil {
		e = p.quiet.PushBack(o)
		p.own[topic] = e
	}
	p.quiet.MoveToBack(e)
	if p.quiet.Len() == 1 {
		p.group.At(&p.end, o.last.Add(p.config.Keep))
	}
	return nil
}

// expire forgets the topics that were quiet.
func (p *Passive) expire(now time.Time) {
	for e := p.quiet.Front(); e != nil; e = p.quiet.Front() {
		o := e.Value.(*own)
		if end := o.last.Add(p.config.Keep); end.After(now) {
			p.group.At(&p.end, end)
			return
		}
		p.quiet.Remove(e)
		delete(p.own, o.topic)
		_ = p.group.Put(o.topic, theKey, "") // fails when closed only
	}
}

func encode(count uint64) string { return string(binary.AppendUvarint(nil, count)) }

func decode(value string) uint64 {
	count, _ := binary.Uvarint([]byte(value))
	return count
}

func counterOf(t *mirror.Topic) *counter {
	c, _ := t.Data.(*counter)
	if c == nil {
		c = &counter{watches: make(map[*Watch]struct{})}
		t.Data = c
	}
	return c
}

// change is called for the counter of each node.
func (p *Passive) change(t *mirror.Topic, _ mirror.ID, _, old, value string) {
	c := counterOf(t)
	c.count += decode(value) - decode(old)
	switch {
	case old == "":
		c.nodes++
	case value == "": // which is no message
		c.nodes--
		c.told -= decode(old)
	}
	c.plan(p, t)
}

// shown is the count as clients get it. Where there are no counters it is another one
// in each half of Config.Keep: a counter may have come and ended since.
func (c *counter) shown(p *Passive, now time.Time) uint64 {
	count := c.count
	if c.nodes == 0 {
		count = uint64(now.UnixNano() / max(1, int64(p.config.Keep/2)))
	}
	return count & largest
}

// plan has the watches told, once in Config.Every.
func (c *counter) plan(p *Passive, t *mirror.Topic) {
	if c.running || len(c.watches) == 0 || c.count == c.told {
		return
	}
	c.running = true
	c.task.Do = func(now time.Time) { c.tell(p, t, now) }
	at, now := c.last.Add(p.config.Every), time.Now()
	if at.Before(now) {
		at = now
	}
	p.group.At(&c.task, at)
}

func (c *counter) tell(p *Passive, t *mirror.Topic, now time.Time) {
	c.running = false
	if c.count == c.told {
		return
	}
	c.told, c.last = c.count, now
	n := Note{Topic: t.Name, Count: c.shown(p, now)}
	for w := range c.watches {
		p.group.Call(func() { w.deliver(n) })
	}
}

// Watch is one who watches a topic. Its methods may be called by any goroutine.
type Watch struct {
	p       *Passive
	topic   *mirror.Topic
	counter *counter
	note    func(Note)
	stopped atomic.Bool
}

// Watch calls note when there were messages in a topic, at most once in Config.Every,
// on one goroutine of the Passive, which it must not block. Count has what this node
// knows already; what other nodes have comes within moments and is noted. One watch for all clients of a node will do.
func (p *Passive) Watch(topic string, note func(Note)) (*Watch, error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return nil, err
	}
	p.group.Lock()
	defer p.group.Unlock()
	t, err := p.group.Watch(topic)
	if err != nil {
		return nil, err
	}
	c := counterOf(t)
	if len(c.watches) == 0 {
		c.told = c.count
	}
	w := &Watch{p: p, topic: t, counter: c, note: note}
	c.watches[w] = struct{}{}
	return w, nil
}

func (w *Watch) deliver(n Note) {
	if !w.stopped.Load() && w.note != nil {
		w.note(n)
	}
}

// Count is the count now, for a client that begins: as in Note.
func (w *Watch) Count() uint64 {
	w.p.group.Lock()
	defer w.p.group.Unlock()
	return w.counter.shown(w.p, time.Now())
}

// Close ends the watch. A note that is under way may still be delivered.
func (w *Watch) Close() {
	w.p.group.Lock()
	defer w.p.group.Unlock()
	if w.stopped.Swap(true) || w.p.group.Closed() {
		return
	}
	delete(w.counter.watches, w)
	if len(w.counter.watches) == 0 {
		w.p.group.At(&w.counter.task, time.Time{})
		w.counter.running = false
	}
	w.topic.Unwatch()
}
