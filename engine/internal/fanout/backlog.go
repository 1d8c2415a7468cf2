package fanout

import (
	"unsafe"

	"github.com/fanloop-go/fanloop/loop"
)

// backlog is what waits for one subscription of a slow member outside the queue
// of its connection, where it can still be dropped or replaced. Guarded by the
// fan's lock.
type backlog struct {
	s      *subscription  // which may have ended
	at     int32          // in part.slow
	place  int32          // in member.queue, if there are messages
	msgs   []Message      // oldest first; without frames: replaced by a later one
	first  int            // index of msgs[0], counted from the first message ever
	keys   map[string]int // index of the message of each key
	live   int            // messages with frames
	missed uint64         // messages lost that OnGap was not called for
	tag    any            // of the first of them, as far as it is known
	after  *backlog       // of an earlier subscription to the topic, which had a gap then; nil: none

	over    bool   // the subscription gets nothing behind what it missed, by its policy
	through uint64 // number of the last message before what was refused; 0: nothing was

	room     int         // messages that the array of msgs takes
	keyRoom  int         // keys that there were at most
	keyBytes int         // of keys that are not counted with their frames
	load     backlogLoad // what waits
	tallied  backlogLoad // what is counted of it
}

// backlogLoad is what the messages in a backlog come to.
type backlogLoad struct {
	bytes  int // of their frames
	weight int // what counts for limits
	own    int // memory besides the messages, which others may hold too
}

const (
	backlogSize = int(unsafe.Sizeof(backlog{}))
	messageSize = int(unsafe.Sizeof(Message{}))
	keySize     = 48 // what a map takes for a key, about
)

// gapped reports whether OnGap is to be called before what waits in b is written, unless it
// is being called: messages of the topic are missing before them.
func (b *backlog) gapped() bool {
	return b.missed > 0 && !b.over || b.after != nil && b.after.missed > 0
}

func (b *backlog) push(msg Message) {
	if msg.Key != "" {
		if b.keys == nil {
			b.keys = make(map[string]int)
		}
		b.keys[msg.Key] = b.first + len(b.msgs)
		b.keyRoom = max(b.keyRoom, len(b.keys))
	}
	full := len(b.msgs) == cap(b.msgs)
	b.msgs = append(b.msgs, msg)
	if full {
		b.room = cap(b.msgs)
	}
	b.live++
	b.load.bytes += msg.Frames.Size()
	b.load.weight += msg.weight()
	b.keyBytes += msg.ownKey()
	b.ledger().Refer(msg.Frames.Plain())
}

// drop takes msg out of what b counts.
func (b *backlog) drop(msg *Message) {
	b.live--
	b.load.bytes -= msg.Frames.Size()
	b.load.weight -= msg.weight()
	b.keyBytes -= msg.ownKey()
	b.ledger().Forget(msg.Frames.Plain())
}

// ledger is the loop in whose ledger b is.
func (b *backlog) ledger() *loop.Loop { return b.s.part.fan.loop }

// head returns the number of the oldest message. There is one.
func (b *backlog) head() uint64 {
	for b.msgs[0].Frames == nil {
		b.msgs, b.first = b.msgs[1:], b.first+1
	}
	return b.msgs[0].number
}

// pop takes the oldest message. There is one.
func (b *backlog) pop() Message {
	b.head()
	msg, index := b.msgs[0], b.first
	b.msgs[0] = Message{}
	b.msgs, b.first = b.msgs[1:], b.first+1
	if msg.Key != "" && b.keys[msg.Key] == index {
		delete(b.keys, msg.Key)
	}
	b.drop(&msg)
	if b.live == 0 {
		b.clear()
	}
	return msg
}

// replace pushes msg and forgets the older one of its key, if one waits and
// room is left for what it is larger.
func (b *backlog) replace(msg Message, room int) bool {
	if msg.Key == "" {
		return false
	}
	index, ok := b.keys[msg.Key]
	if !ok {
		return false
	}
	old := &b.msgs[index-b.first]
	if more := msg.weight() - old.weight(); more > max(room, 0) {
		return false
	}
	b.drop(old)
	*old = Message{}
	b.push(msg)
	if len(b.msgs) > 2*b.live+indexFrom {
		b.compact()
	}
	return true
}

// compact forgets where replaced messages were.
func (b *backlog) compact() {
	msgs := make([]Message, 0, 2*b.live)
	for i, msg := range b.msgs {
		if msg.Frames == nil {
			continue
		}
		if msg.Key != "" && b.keys[msg.Key] == b.first+i {
			b.keys[msg.Key] = len(msgs)
		}
		msgs = append(msgs, msg)
	}
	b.msgs, b.first, b.room = msgs, 0, cap(msgs)
}

// makeRoom drops the oldest messages, which weigh n or more together, and returns
// how many. There are as many.
func (b *backlog) makeRoom(n int) (dropped uint64) {
	for n > 0 {
		msg := b.pop()
		n -= msg.weight()
		dropped++
	}
	return dropped
}

// clear forgets all messages.
func (b *backlog) clear() {
	for i := range b.msgs {
		if b.msgs[i].Frames != nil {
			b.drop(&b.msgs[i])
		}
	}
	b.msgs, b.first, b.room, b.keys, b.keyRoom = nil, 0, 0, nil, 0
}

// own is the memory of b besides its messages.
func (b *backlog) own() int {
	n := b.room*messageSize + b.keyRoom*keySize + b.keyBytes
	if b.live > 0 || b.s.backlog() == b {
		n += backlogSize
	}
	return n
}
