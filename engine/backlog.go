package engine

// backlog is what waits for one subscription of a slow member outside the queue
// of its connection, where it can still be dropped or replaced. Guarded by the
// fan's lock.
type backlog struct {
	s      *subscription  // which may have ended
	at     int32          // in part.slow
	place  int32          // in member.queue, if there are messages
	msgs   []message      // oldest first; without frames: replaced by a later one
	first  int            // index of msgs[0], counted from the first message ever
	keys   map[string]int // index of the message of each key
	live   int            // messages with frames
	bytes  int            // of them
	missed uint64         // messages lost that OnGap was not called for
}

func (b *backlog) push(msg message) {
	if msg.keyed {
		if b.keys == nil {
			b.keys = make(map[string]int)
		}
		b.keys[msg.key] = b.first + len(b.msgs)
	}
	b.msgs = append(b.msgs, msg)
	b.live++
	b.bytes += msg.size()
}

// head returns the number of the oldest message. There is one.
func (b *backlog) head() uint64 {
	for b.msgs[0].frames == nil {
		b.msgs, b.first = b.msgs[1:], b.first+1
	}
	return b.msgs[0].number
}

// pop takes the oldest message. There is one.
func (b *backlog) pop() message {
	b.head()
	msg, index := b.msgs[0], b.first
	b.msgs[0] = message{}
	b.msgs, b.first = b.msgs[1:], b.first+1
	if msg.keyed && b.keys[msg.key] == index {
		delete(b.keys, msg.key)
	}
	b.live--
	b.bytes -= msg.size()
	return msg
}

// replace pushes msg and forgets the older one of its key, if one waits and
// room is left for what it is larger.
func (b *backlog) replace(msg message, room int) bool {
	if !msg.keyed {
		return false
	}
	index, ok := b.keys[msg.key]
	if !ok {
		return false
	}
	old := &b.msgs[index-b.first]
	if more := msg.size() - old.size(); more > max(room, 0) {
		return false
	}
	b.live--
	b.bytes -= old.size()
	*old = message{}
	b.push(msg)
	if len(b.msgs) > 2*b.live+indexFrom {
		b.compact()
	}
	return true
}

// compact forgets where replaced messages were.
func (b *backlog) compact() {
	msgs := make([]message, 0, 2*b.live)
	for i, msg := range b.msgs {
		if msg.frames == nil {
			continue
		}
		if msg.keyed && b.keys[msg.key] == b.first+i {
			b.keys[msg.key] = len(msgs)
		}
		msgs = append(msgs, msg)
	}
	b.msgs, b.first = msgs, 0
}

// makeRoom drops the oldest messages, of n bytes or more together, and returns
// how many. There are as many.
func (b *backlog) makeRoom(n int) (dropped uint64) {
	for n > 0 {
		msg := b.pop()
		n -= msg.size()
		dropped++
	}
	return dropped
}

// clear forgets all messages.
func (b *backlog) clear() { b.msgs, b.keys, b.live, b.bytes, b.first = nil, nil, 0, 0, 0 }

// note notes in shared what waits.
func (b *backlog) note(shared map[*byte]int) {
	for _, msg := range b.msgs {
		if msg.frames != nil {
			msg.frames.note(shared)
		}
	}
}
