package chat

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// ledger records what was published and what each room has, and checks each delivery against
// it. Owned by the loop.
type ledger struct {
	run      string // part of all names and ids, so that runs do not share rooms or users
	encoding protocol.Encoding
	filler   string
	size     int // of a message's data, in bytes
	messages []message
	rooms    []room
	faults   Faults
}

// message is a planned message and what became of it.
type message struct {
	planned
	due      int64  // clock at which it was due; 0: not published yet
	acked    uint64 // offset in the acknowledgement; 0: none yet
	offset   uint64 // offset in the first delivery; 0: none yet
	answered bool
}

// room has the messages that any user got, in the order of offsets.
type room struct {
	topic string
	size  int
	log   []entry
}

// entry is one message of a room.
type entry struct {
	number int32
	offset uint64
	id     string
	frame  []byte // the bytes of its live delivery, which are the same for all users
}

// view is the state of one user in one room.
type view struct {
	room    *room
	next    int32   // index in the room's log of the next expected message
	holes   []int32 // indices of messages that were skipped
	live    bool    // subscribed
	pos     protocol.Position
	attempt uint32
	since   int64 // clock at which the subscription became live
}

func newLedger(run string, c Config, p *plan) *ledger {
	k := &ledger{run: run, encoding: c.encoding(), size: c.Size, messages: make([]message, len(p.sent)), rooms: make([]room, c.Rooms)}
	k.filler = strings.Repeat("The quick brown fox jumps over the lazy dog. 0123456789 ", c.Size/32+8)
	for i, m := range p.sent {
		k.messages[i].planned = m
	}
	for i := range k.rooms {
		k.rooms[i] = room{topic: fmt.Sprintf("bench %s room %d", run, i), size: p.sizes[i]}
	}
	return k
}

func (k *ledger) userName(i int32) string { return fmt.Sprintf("bench %s user %d", k.run, i) }

// id returns the id of a message.
func (k *ledger) id(number int) string { return k.run + "-" + strconv.Itoa(number) }

// data returns the content of a message, which differs from that of the message before it.
func (k *ledger) data(number int) []byte {
	from := number % 56
	return append(append([]byte(`{"text":"`), k.filler[from:from+k.size-minSize]...), `"}`...)
}

// match compares the front of p with the next expected message of v. If they are equal, it
// moves v on and returns the length of the frame. n == 0 means that p has to be decoded.
func (k *ledger) match(v *view, p []byte) (e *entry, n int) {
	if !v.live || int(v.next) >= len(v.room.log) {
		return nil, 0
	}
	e = &v.room.log[v.next]
	if !bytes.HasPrefix(p, e.frame) {
		return nil, 0
	}
	v.next++
	return e, len(e.frame)
}

// deliver records that user got m in v. It returns nil if m was not expected, which is a fault.
func (k *ledger) deliver(user int32, v *view, m *protocol.Message) *entry {
	number, ok := k.recognize(user, v.room, m)
	if !ok {
		return nil
	}
	log := v.room.log
	i, known := v.room.find(m.Offset)
	switch {
	case !known && i < len(log):
		k.faults.Disordered++
		k.faults.note("user %d got %q at offset %d, behind later messages that others got without it", user, m.ID, m.Offset)
		return nil
	case known && int(log[i].number) != number:
		k.faults.Damaged++
		k.faults.note("user %d got %q at offset %d, where others have %q", user, m.ID, m.Offset, k.id(int(log[i].number)))
		return nil
	case i < int(v.next):
		k.late(user, v, int32(i), m)
		return nil
	}
	for ; int(v.next) < i; v.next++ {
		k.faults.Missing++
		k.faults.note("user %d in %q did not get %q at offset %d", user, v.room.topic, log[v.next].id, log[v.next].offset)
		v.holes = append(v.holes, v.next)
	}
	if !known {
		k.append(user, v.room, number, m)
	} else if before := v.room.before(i); m.Prev != 0 && m.Prev != before {
		k.faults.Damaged++
		k.faults.note("user %d got %q with prev %d behind offset %d", user, m.ID, m.Prev, before)
	}
	v.next++
	return &v.room.log[i]
}

// recognize returns the number of m. ok is false, and a fault recorded, if m differs from what was
// published in r.
func (k *ledger) recognize(user int32, r *room, m *protocol.Message) (number int, ok bool) {
	text, ours := strings.CutPrefix(m.ID, k.run+"-")
	number, err := strconv.Atoi(text)
	switch {
	case !ours || err != nil || number < 0 || number >= len(k.messages) || k.messages[number].due == 0:
		k.faults.Foreign++
		k.faults.note("user %d got %q in %q, which nobody published", user, m.ID, r.topic)
		return 0, false
	case &k.rooms[k.messages[number].room] != r:
		k.faults.Foreign++
		k.faults.note("user %d got %q in %q, which was published in %q", user, m.ID, r.topic, k.rooms[k.messages[number].room].topic)
		return 0, false
	case m.Offset == 0 || m.User != k.userName(k.messages[number].user) || !bytes.Equal(m.Data, k.data(number)):
		k.faults.Damaged++
		k.faults.note("user %d got %q as offset %d, user %q, data %q", user, m.ID, m.Offset, m.User, m.Data)
		return 0, false
	}
	return number, true
}

// late records a message that came behind a later one, or a second time.
func (k *ledger) late(user int32, v *view, i int32, m *protocol.Message) {
	if at := slices.Index(v.holes, i); at >= 0 {
		v.holes = slices.Delete(v.holes, at, at+1)
		k.faults.Missing--
		k.faults.Disordered++
		k.faults.note("user %d got %q at offset %d behind later ones", user, m.ID, m.Offset)
		return
	}
	k.faults.Doubled++
	k.faults.note("user %d got %q at offset %d twice", user, m.ID, m.Offset)
}

// append adds a message to the log of its room, which no user got before.
func (k *ledger) append(user int32, r *room, number int, m *protocol.Message) {
	known := &k.messages[number]
	switch last := r.before(len(r.log)); {
	case known.offset != 0:
		k.faults.Doubled++
		k.faults.note("%q is stored twice, at offsets %d and %d", m.ID, known.offset, m.Offset)
	case known.acked != 0 && known.acked != m.Offset:
		k.faults.Damaged++
		k.faults.note("user %d got %q at offset %d; published said %d", user, m.ID, m.Offset, known.acked)
	case m.Prev > last:
		k.faults.Missing++
		k.faults.note("user %d in %q did not get the message at offset %d", user, r.topic, m.Prev)
	}
	known.offset = m.Offset
	live := *m
	live.Topic = r.topic
	if live.Prev == 0 {
		live.Prev = r.before(len(r.log))
	}
	r.log = append(r.log, entry{number: int32(number), offset: m.Offset, id: m.ID, frame: k.encoding.AppendMessage(nil, &live)})
}

// answered records an acknowledgement, and reports whether it is the first of its message.
func (k *ledger) answered(number int, offset uint64) bool {
	m := &k.messages[number]
	if m.offset != 0 && m.offset != offset || m.acked != 0 && m.acked != offset {
		k.faults.Damaged++
		k.faults.note("published names offset %d for %q, which is at %d", offset, k.id(number), max(m.offset, m.acked))
	}
	m.acked = offset
	first := !m.answered
	m.answered = true
	return first
}

// joined records the answer to a subscribe.
func (k *ledger) joined(user int32, v *view, s *protocol.Subscribed) {
	resumed := v.pos.Epoch != ""
	switch {
	case s.Pos == nil:
		k.faults.Damaged++
		k.faults.note("user %d is subscribed to %q without a position: its namespace keeps no history", user, s.Topic)
		return
	case resumed && s.State != protocol.Resumed:
		k.faults.Resets++
		k.faults.note("user %d comes back to %q and is told %q", user, s.Topic, s.State)
		v.next = int32(v.room.behind(s.Pos.Offset))
	case !resumed:
		v.next = int32(v.room.behind(s.Pos.Offset))
	}
	v.pos = *s.Pos
}

// reset records that the service could not resume from a position.
func (k *ledger) reset(user int32, v *view, pos protocol.Position) {
	k.faults.Resets++
	k.faults.note("user %d got a reset in %q, to offset %d", user, v.room.topic, pos.Offset)
	v.next, v.pos = int32(v.room.behind(pos.Offset)), pos
}

// position returns the position behind the last message of v; nil if there is none.
func (v *view) position() *protocol.Position {
	if v.pos.Epoch == "" {
		return nil
	}
	pos := v.pos
	if v.next > 0 && v.room.log[v.next-1].offset > pos.Offset {
		e := &v.room.log[v.next-1]
		pos.Offset, pos.ID = e.offset, e.id
	}
	return &pos
}

// page checks a page of history: its messages must be those of the room, without a gap.
func (k *ledger) page(user int32, r *room, list []protocol.Message) {
	at := -1
	for j := range list {
		m := &list[j]
		number, ok := k.recognize(user, r, m)
		if !ok {
			continue
		}
		i, known := r.find(m.Offset)
		switch {
		case !known && i < len(r.log):
			k.faults.Missing++
			k.faults.note("history of %q has %q at offset %d, which nobody got", r.topic, m.ID, m.Offset)
		case known && int(r.log[i].number) != number:
			k.faults.Damaged++
			k.faults.note("history of %q has %q at offset %d, where users got %q", r.topic, m.ID, m.Offset, r.log[i].id)
		case at >= 0 && i != at+1:
			k.faults.Damaged++
			k.faults.note("history of %q has %q at offset %d, not the message behind the one before it", r.topic, m.ID, m.Offset)
		case !known && (at >= 0 || m.Prev == r.before(i)):
			k.append(user, r, number, m)
		case !known:
			return // the page begins behind messages that are still being delivered
		}
		at = i
	}
}

// settle counts the messages that were not delivered or not acknowledged. users has the views
// of each user.
func (k *ledger) settle(users [][]view) {
	for user, views := range users {
		for i := range views {
			v := &views[i]
			if n := len(v.room.log) - int(v.next); n > 0 {
				k.faults.Missing += n
				k.faults.note("user %d in %q did not get %d messages, from offset %d on", user, v.room.topic, n, v.room.log[v.next].offset)
			}
		}
	}
	for number := range k.messages {
		m := &k.messages[number]
		switch {
		case !m.answered:
			k.faults.Unanswered++
			k.faults.note("%q has no answer", k.id(number))
		case m.offset == 0:
			k.faults.Missing += k.rooms[m.room].size
			k.faults.note("%q is stored at offset %d and nobody got it", k.id(number), m.acked)
		}
	}
}

// find returns the index of an offset, and whether it is there; otherwise the index at which it
// belongs.
func (r *room) find(offset uint64) (int, bool) {
	if n := len(r.log); n == 0 || r.log[n-1].offset < offset {
		return n, false
	}
	return sort.Find(len(r.log), func(i int) int {
		switch at := r.log[i].offset; {
		case offset < at:
			return -1
		case offset > at:
			return 1
		}
		return 0
	})
}

// behind returns the index of the first message behind an offset.
func (r *room) behind(offset uint64) int {
	i, known := r.find(offset)
	if known {
		i++
	}
	return i
}

// before returns the offset of the message in front of index i; 0 if there is none.
func (r *room) before(i int) uint64 {
	if i == 0 {
		return 0
	}
	return r.log[i-1].offset
}
