package protocol_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// The rule of positions: what a subscriber has is dropped, what leaves a hole is not
// taken, and offsets have holes that are none.
func TestASubscriberFollowsAChain(t *testing.T) {
	pos := protocol.Position{Epoch: "e", Offset: 20, ID: "x"}
	for _, step := range []struct {
		offset, prev uint64
		want         protocol.Verdict
		at           uint64
	}{
		{20, 10, protocol.Known, 20},
		{5, 0, protocol.Known, 20},
		{30, 20, protocol.Take, 30},
		{30, 20, protocol.Known, 30},
		{50, 40, protocol.Hole, 30},
		{40, 30, protocol.Take, 40},
		{50, 40, protocol.Take, 50},
		{60, 7, protocol.Take, 60}, // those between were discarded before anybody got them
		{70, 0, protocol.Take, 70}, // not known
		{0, 0, protocol.Take, 70},  // a topic without history
		{1<<53 + 1, 70, protocol.Take, 1<<53 + 1},
		{1<<53 + 2, 1<<53 + 1, protocol.Take, 1<<53 + 2},
	} {
		got := pos.Follow(&protocol.Message{Offset: step.offset, Prev: step.prev, ID: "m"})
		if got != step.want || pos.Offset != step.at || pos.Epoch != "e" {
			t.Fatalf("%+v: %v, at %+v", step, got, pos)
		}
	}
	// The place in a topic without messages is behind none of those that come.
	empty := protocol.Position{Epoch: "e", Offset: 90}
	if got := empty.Follow(&protocol.Message{Offset: 95, Prev: 80, ID: "m"}); got != protocol.Take {
		t.Errorf("%v", got)
	}
}

// at is a position of the topic's epoch.
func at(offset uint64) protocol.Position {
	return protocol.Position{Epoch: "now", Offset: offset, ID: "x"}
}

// X24: tab A reads to 90, tab B is slow and sends 40, a node replays 70, and then the
// user marks as unread from 50 on; what is late after that changes nothing.
func TestMarkersMoveForwardAndBackOnPurpose(t *testing.T) {
	var m protocol.Marker
	expect := func(offset uint64, version uint32) {
		t.Helper()
		if m.Pos.Offset != offset || m.Version != version {
			t.Fatalf("%+v, want %d in version %d", m, offset, version)
		}
	}
	m = m.Read(at(90), 0, "now")
	expect(90, 0)
	m = m.Read(at(40), 0, "now")
	m = m.Later(protocol.Marker{Pos: at(70)}, "now")
	expect(90, 0)
	m = m.Unread(at(50), 0, "now")
	expect(50, 1)
	m = m.Unread(at(20), 0, "now")
	m = m.Read(at(95), 0, "now")
	m = m.Later(protocol.Marker{Pos: at(99)}, "now")
	expect(50, 1)
	m = m.Read(at(60), 1, "now")
	expect(60, 1)

	// Another life of the store: what was read there is before everything.
	old := protocol.Position{Epoch: "then", Offset: 1000}
	m = m.Read(old, 1, "now")
	m = m.Unread(old, 1, "now")
	expect(60, 1)
	m = protocol.Marker{Pos: old, Version: 1}.Read(at(3), 1, "now")
	expect(3, 1)
}

// X24: where there is no marker, as when it was forgotten with the messages, no version is
// late, and a position of another epoch makes none.
func TestWithoutAMarkerNothingIsLate(t *testing.T) {
	var none protocol.Marker
	old := protocol.Position{Epoch: "then", Offset: 9, ID: "x"}
	for name, one := range map[string]struct{ got, want protocol.Marker }{
		"read":              {none.Read(at(5), 0, "now"), protocol.Marker{Pos: at(5)}},
		"read, forgotten":   {none.Read(at(5), 3, "now"), protocol.Marker{Pos: at(5), Version: 3}},
		"unread":            {none.Unread(at(5), 0, "now"), protocol.Marker{Pos: at(5), Version: 1}},
		"unread, forgotten": {none.Unread(at(5), 3, "now"), protocol.Marker{Pos: at(5), Version: 4}},
		"read elsewhere":    {none.Read(old, 0, "now"), none},
		"unread elsewhere":  {none.Unread(old, 2, "now"), none},
		"no version behind": {none.Unread(at(5), math.MaxUint32, "now"), none},
	} {
		if one.got != one.want {
			t.Errorf("%s: %+v, want %+v", name, one.got, one.want)
		}
	}
}

// Whatever the order in which nodes hear of them, the later marker is the same.
func TestTheLaterMarkerDoesNotDependOnOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		all := make([]protocol.Marker, 4)
		for i := range all {
			all[i] = protocol.Marker{Pos: at(r.Uint64N(3) + 1), Version: uint32(r.IntN(3))}
			if r.IntN(3) == 0 {
				all[i].Pos = protocol.Position{} // never read anything
			}
		}
		fold := func() (m protocol.Marker) {
			for _, other := range all {
				m = m.Later(other, "now")
			}
			return m
		}
		want := fold()
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		if got := fold(); got != want {
			t.Fatalf("%+v: %+v and %+v", all, got, want)
		}
	}
}
