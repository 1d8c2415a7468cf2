package engine

import (
	"cmp"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// Batching delivers what is published to busy topics in batches, each subscriber's in one
// send: sends cost nearly the same whatever is in them. The delay follows from what sends
// cost a loop, which it measures. The first message after a quiet time goes at once. After a
// flush, what is published next waits until the loop has had as much time for others as the
// flush took; where several groups are busy, as much for each of them. A delay below 2 ms is
// none, so nothing waits in topics with few subscribers or few messages. What has become
// 64 KiB, or half of Slow.Limit, does not wait longer.
//
// Order and counts are those of topics that are not batched. A connection that gets something
// else, is unsubscribed or closed gets what waits for it before that.
type Batching struct {
	// Prefixes begin the names of the topics that are batched; "" begins all of them. What
	// follows the longest prefix names the group of a topic: topics of one group, such as
	// "chat:room" and "typing:room", are delivered together. Topics with FlushEvery wait for
	// that instead.
	Prefixes []string
	// MaxDelay bounds the delay, besides what a flush takes. Default: 150 ms.
	MaxDelay time.Duration
	// SendCost is what a send is taken to cost a loop. Default: each loop measures it.
	SendCost time.Duration
}

// check adds the mistakes in b to m.
func (b *Batching) check(m *mistakes) {
	if b == nil {
		return
	}
	if len(b.Prefixes) == 0 {
		m.add("Batching.Prefixes", b.Prefixes, "no topic is batched; set prefixes, \"\" for all topics, or leave Batching nil")
	}
	staysOn(m, "Batching.MaxDelay", b.MaxDelay, "leave Batching nil to deliver everything at once")
	staysOn(m, "Batching.SendCost", b.SendCost, "no send is free")
}

// forFan returns b with its default; nil if there is none.
func (b *Batching) forFan() *fanout.Batching {
	if b == nil {
		return nil
	}
	return &fanout.Batching{Prefixes: b.Prefixes, MaxDelay: cmp.Or(b.MaxDelay, 150*time.Millisecond), SendCost: b.SendCost}
}

// Delay returns how long what is published to the topic waits at the moment, about, by
// Server.Batching; 0 if it does not wait. Any goroutine.
func (t *Topic) Delay() time.Duration {
	if top := t.known(); top != nil {
		return top.Delay()
	}
	return 0
}
