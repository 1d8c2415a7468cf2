package load

import (
	"math/rand/v2"
	"testing"
)

// slowOrder counts what order counts, from the whole history.
func slowOrder(arrivals []uint32) (f Faults) {
	seen := make(map[uint32]bool)
	top := -1
	for _, seq := range arrivals {
		switch {
		case seen[seq]:
			f.Duplicated++
		case int(seq) < top:
			f.Reordered++
		}
		seen[seq] = true
		top = max(top, int(seq))
	}
	for seq := range top {
		if !seen[uint32(seq)] {
			f.Missing++
		}
	}
	return f
}

func TestOrderAgreesWithTheWholeHistory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		arrivals := make([]uint32, random.IntN(60))
		for i := range arrivals {
			arrivals[i] = uint32(max(0, i+random.IntN(9)-4))
		}
		var o order
		var f Faults
		for _, seq := range arrivals {
			o.see(seq, &f, 0, 0)
		}
		f.First = ""
		if want := slowOrder(arrivals); f != want {
			t.Fatalf("%v: found %+v, want %+v", arrivals, f, want)
		}
	}
}

func TestOrderGoesOnAfterItsNumbersWrap(t *testing.T) {
	o := order{next: 1<<32 - 2}
	var f Faults
	for _, seq := range []uint32{1<<32 - 2, 1<<32 - 1, 0, 1} {
		o.see(seq, &f, 0, 0)
	}
	if !f.None() || o.next != 2 {
		t.Fatalf("found %+v at %d", f, o.next)
	}
}

func TestEveryBitOfAStampCounts(t *testing.T) {
	tmpl := newTemplate(64)
	s := stamp{kind: kindEcho, from: 123456, seq: 987654321, at: 1 << 51}
	tmpl.put(s)
	payload := make([]byte, 64)
	for i := range payload {
		payload[i] = tmpl.frame[tmpl.at+i] ^ byte(tmpl.mask>>(8*(i%4)))
	}
	if got, ok := readStamp(payload); !ok || got != s {
		t.Fatalf("read %+v %v, want %+v", got, ok, s)
	}
	for bit := range 128 {
		payload[bit/8] ^= 1 << (bit % 8)
		if got, ok := readStamp(payload); ok {
			t.Errorf("bit %d turned: read as %+v", bit, got)
		}
		payload[bit/8] ^= 1 << (bit % 8)
	}
	if string(payload[stampSize:]) != string(tmpl.want[stampSize:]) {
		t.Error("the payload behind the stamp is not the one expected back")
	}
}
