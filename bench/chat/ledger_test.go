package chat

import (
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// check has a ledger of two rooms, a user in the first room, and three messages of it that
// another user got.
type check struct {
	*ledger
	view   view
	stored []protocol.Message
}

const viewer = 1

func newCheck(t *testing.T, e Encoding) *check {
	t.Helper()
	c := Default()
	c.Users, c.Rooms, c.Talkers, c.Encoding = 4, 2, 0, e
	c.Rate, c.WarmUp, c.Time, c.Cuts, c.Reads = 100, 0, time.Second, 0, 0
	k := newLedger("run", c, newPlan(c))
	check := &check{ledger: k, view: view{room: &k.rooms[0]}}
	for i := range k.messages {
		k.messages[i].due = 1
	}
	first := view{room: &k.rooms[0]}
	for _, v := range []*view{&first, &check.view} {
		k.joined(0, v, &protocol.Subscribed{State: protocol.Fresh, Pos: &protocol.Position{Epoch: "e"}})
		v.live = true
	}
	prev := uint64(0)
	for n := 0; len(check.stored) < 3; n++ {
		if k.messages[n].room != 0 {
			continue
		}
		m := check.message(n, prev+3, prev)
		prev = m.Offset
		check.stored = append(check.stored, m)
		if k.deliver(0, &first, &m) == nil {
			t.Fatal("a message is not taken")
		}
	}
	return check
}

// message returns a message as the service sends it.
func (c *check) message(n int, offset, prev uint64) protocol.Message {
	return protocol.Message{
		Topic: c.rooms[c.messages[n].room].topic, Offset: offset, Prev: prev, ID: c.id(n), Time: 5,
		Body: protocol.Body{User: c.userName(c.messages[n].user), Data: c.data(n)},
	}
}

// elsewhere returns the number of a message of the other room.
func (c *check) elsewhere() int {
	for n := range c.messages {
		if c.messages[n].room == 1 {
			return n
		}
	}
	panic("all are in one room")
}

// get delivers messages to the user.
func (c *check) get(all ...protocol.Message) {
	for i := range all {
		c.deliver(viewer, &c.view, &all[i])
	}
}

// Each kind of wrong delivery counts as one fault of its kind.
func TestEveryWrongDeliveryIsAFault(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(c *check, m []protocol.Message)
		want Faults
	}{
		"all right":       {func(c *check, m []protocol.Message) { c.get(m...) }, Faults{}},
		"lost":            {func(c *check, m []protocol.Message) { c.get(m[0], m[2]) }, Faults{Missing: 1}},
		"lost at the end": {func(c *check, m []protocol.Message) { c.get(m[0]) }, Faults{Missing: 2}},
		"doubled":         {func(c *check, m []protocol.Message) { c.get(m[0], m[0], m[1], m[2]) }, Faults{Doubled: 1}},
		"doubled later":   {func(c *check, m []protocol.Message) { c.get(m[0], m[1], m[2], m[1]) }, Faults{Doubled: 1}},
		"reordered":       {func(c *check, m []protocol.Message) { c.get(m[0], m[2], m[1]) }, Faults{Disordered: 1}},
		"of another room": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.get(c.message(c.elsewhere(), 30, 9))
		}, Faults{Foreign: 1}},
		"of another run": {func(c *check, m []protocol.Message) {
			m[1].ID = "other-1"
			c.get(m...)
		}, Faults{Foreign: 1, Missing: 1}},
		"not published yet": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.messages[9].due = 0
			c.get(c.message(9, 30, 9))
		}, Faults{Foreign: 1}},
		"another text": {func(c *check, m []protocol.Message) {
			m[1].Data = c.data(7)
			c.get(m...)
		}, Faults{Damaged: 1, Missing: 1}},
		"another author": {func(c *check, m []protocol.Message) {
			m[1].User = c.userName(99)
			c.get(m...)
		}, Faults{Damaged: 1, Missing: 1}},
		"another prev": {func(c *check, m []protocol.Message) {
			m[1].Prev = 1
			c.get(m...)
		}, Faults{Damaged: 1}},
		"hole at the end of the room": {func(c *check, m []protocol.Message) {
			c.get(m...)
			n := 3
			for c.messages[n].room != 0 || c.messages[n].offset != 0 {
				n++
			}
			c.get(c.message(n, 30, 20))
		}, Faults{Missing: 1}},
		"stored twice": {func(c *check, m []protocol.Message) {
			c.get(m...)
			m[2].Offset, m[2].Prev = 30, 9
			c.get(m[2])
		}, Faults{Doubled: 1}},
		"reset": {func(c *check, m []protocol.Message) {
			c.get(m[0])
			c.reset(viewer, &c.view, protocol.Position{Epoch: "e", Offset: m[2].Offset})
		}, Faults{Resets: 1}},
		"comes back to nothing": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.joined(viewer, &c.view, &protocol.Subscribed{State: protocol.Reset, Pos: &protocol.Position{Epoch: "f"}})
			c.view.next = 3
		}, Faults{Resets: 1}},
		"another place than published said": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.answered(int(c.view.room.log[0].number), 99)
		}, Faults{Damaged: 1}},
		"page with a hole": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.page(viewer, c.view.room, []protocol.Message{m[0], m[2]})
		}, Faults{Damaged: 1}},
		"page of another room": {func(c *check, m []protocol.Message) {
			c.get(m...)
			c.page(viewer, c.view.room, []protocol.Message{c.message(c.elsewhere(), 3, 0)})
		}, Faults{Foreign: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newCheck(t, JSON)
			c.do(k, k.stored)
			for n := range k.messages { // what is not stored is not looked at here
				m := &k.messages[n]
				m.answered = true
				if m.offset == 0 {
					m.offset = 1
				}
			}
			k.settle([][]view{nil, {k.view}})
			got := k.faults
			got.First = nil
			if got.String() != c.want.String() {
				t.Errorf("%v, want %v: %q", got, c.want, k.faults.First)
			}
			if (got.Err() == nil) != (c.want.Err() == nil) || got.Err() != nil && len(k.faults.First) == 0 {
				t.Errorf("error %v, first %q", got.Err(), k.faults.First)
			}
		})
	}
}

// A publish without an acknowledgement, and one that no user gets, are faults.
func TestPublishesAreFollowedToTheEnd(t *testing.T) {
	k := newCheck(t, JSON)
	k.get(k.stored...)
	for n := range k.messages {
		if m := &k.messages[n]; m.offset != 0 {
			k.answered(n, m.offset)
		} else if n > 10 {
			k.answered(n, uint64(1000+n))
		}
	}
	k.settle([][]view{nil, {k.view}})
	if k.faults.Unanswered == 0 || k.faults.Missing == 0 || k.faults.Unanswered >= 11 {
		t.Errorf("%v", k.faults)
	}
}

// Only the next expected message is matched by its bytes.
func TestOnlyTheNextMessageIsRecognized(t *testing.T) {
	for _, e := range []Encoding{JSON, CBOR} {
		k := newCheck(t, e)
		var frames [][]byte
		for i := range k.stored {
			frames = append(frames, k.encoding.AppendMessage(nil, &k.stored[i]))
		}
		if _, n := k.match(&k.view, frames[1]); n != 0 {
			t.Errorf("%s: a message is recognized before its turn", e)
		}
		spoilt := []byte(strings.Replace(string(frames[0]), "fox", "cat", 1))
		if _, n := k.match(&k.view, spoilt); n != 0 {
			t.Errorf("%s: a damaged message is recognized", e)
		}
		for i, frame := range frames {
			if got, n := k.match(&k.view, append(frame, "\nmore"...)); n != len(frame) || got.offset != k.stored[i].Offset {
				t.Errorf("%s: message %d is not recognized", e, i)
			}
		}
		if _, n := k.match(&k.view, frames[2]); n != 0 {
			t.Errorf("%s: a message is recognized twice", e)
		}
	}
}

// Matching a message allocates nothing.
func TestRecognizingAllocatesNothing(t *testing.T) {
	k := newCheck(t, JSON)
	frame := k.encoding.AppendMessage(nil, &k.stored[0])
	if n := testing.AllocsPerRun(100, func() {
		k.view.next = 0
		k.match(&k.view, frame)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
