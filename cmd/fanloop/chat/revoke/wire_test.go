package revoke

import (
	"bytes"
	"testing"
	"time"
)

// A message is read as it was written, and no bytes make decode panic or take more
// than they have.
func FuzzDecode(f *testing.F) {
	a, b := nodeID{1}, nodeID{2}
	e := []*entry{{place{User, "ann"}, 1_700_000_000, time.Now().Add(time.Hour)}, {place{Token, "t"}, 0, time.Now().Add(time.Minute)}}
	for _, seed := range [][]byte{encodeBye(a), encodeBeat(a, 7, "n1"), encodeSheet(a, b, new([buckets]uint64)), encodeAck(a, b, 9), encodeEntries(a, 3, e), nil, {9}} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, ok := decode(bytes.Clone(data))
		if !ok {
			return
		}
		var again []byte
		switch m.kind {
		case messageBye:
			again = encodeBye(m.from)
		case messageBeat:
			again = encodeBeat(m.from, m.sum, m.name)
		case messageSheet:
			again = encodeSheet(m.from, m.to, m.sums)
		case messageAck:
			again = encodeAck(m.from, m.to, m.ack)
		case messageEntries:
			for _, e := range m.entries {
				if e.name == "" || len(e.name) > MaxName || e.kind == 0 || e.kind >= afterLastKind {
					t.Fatalf("%+v", e)
				}
			}
			return
		}
		if !bytes.Equal(again, data) {
			t.Fatalf("%x became %x", data, again)
		}
	})
}

// Entries keep what they say.
func TestEntriesOnTheWire(t *testing.T) {
	sent := []*entry{{place{User, "ann"}, 1_700_000_000, time.Now().Add(time.Hour)}, {place{Session, "s"}, 0, time.Now().Add(-time.Hour)}}
	m, ok := decode(encodeEntries(nodeID{1}, 3, sent))
	if !ok || m.ack != 3 || len(m.entries) != 2 {
		t.Fatalf("%+v", m)
	}
	for i, e := range m.entries {
		if e.place != sent[i].place || e.before != sent[i].before || e.sum() != sent[i].sum() {
			t.Errorf("%+v became %+v", sent[i], e)
		}
	}
	if left := time.Until(m.entries[0].ends); left > time.Hour || left < time.Hour-time.Minute || time.Until(m.entries[1].ends) > 0 {
		t.Errorf("%v left", left)
	}
}
