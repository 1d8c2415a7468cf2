package relay

import (
	"bytes"
	"testing"
	"time"
)

func TestFrameIsWhatItWas(t *testing.T) {
	for _, f := range []frame{
		{},
		{flags: flagsEnd - 1, node: 1<<64 - 1, number: 1<<64 - 1, age: 3 * time.Hour, key: "key", data: []byte("data")},
		{flags: flagHead, node: 7, number: 300, age: time.Millisecond},
		{flags: flagRetain, number: 1, key: "k"},
	} {
		b := f.append(nil)
		got, ok := parse(b)
		if !ok || got.flags != f.flags || got.node != f.node || got.number != f.number || got.age != f.age || got.key != f.key || !bytes.Equal(got.data, f.data) {
			t.Errorf("%+v became %+v, %v", f, got, ok)
		}
		for n := range len(b) - len(f.data) {
			if _, ok := parse(b[:n]); ok {
				t.Errorf("%+v: the first %d bytes are a frame", f, n)
			}
		}
	}
	f := frame{}
	for i, other := range map[int]byte{0: version + 1, 1: flagsEnd} {
		b := f.append(nil)
		b[i] = other
		if _, ok := parse(b); ok {
			t.Errorf("byte %d is %d, and it is a frame", i, other)
		}
	}
}

func FuzzFrame(f *testing.F) {
	f.Add([]byte{version, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 'k', 'd'})
	f.Fuzz(func(t *testing.T, b []byte) {
		one, ok := parse(b)
		if !ok {
			return
		}
		again, ok := parse(one.append(nil))
		if !ok || again.number != one.number || again.age != one.age || again.key != one.key || !bytes.Equal(again.data, one.data) {
			t.Errorf("%+v became %+v, %v", one, again, ok)
		}
	})
}

// What follows what, and what is a hole: the rule by which nothing is missing in silence.
func TestHolesAreFound(t *testing.T) {
	const tail = time.Second
	type step struct {
		after   time.Duration // since the step before
		gap     bool          // the bus reports one
		f       frame
		missing bool
		old     bool
	}
	message := func(number uint64, age time.Duration) frame { return frame{node: 1, number: number, age: age} }
	first := func(number uint64) frame { return frame{node: 1, number: number, flags: flagFirst} }
	head := func(number uint64, age time.Duration) frame {
		return frame{node: 1, number: number, age: age, flags: flagHead}
	}
	over := func(number uint64) frame {
		return frame{node: 1, number: number, age: 10 * time.Second, flags: flagHead | flagLast}
	}
	const s, ms = time.Second, time.Millisecond
	for name, steps := range map[string][]step{
		"in order":               {{f: first(1)}, {f: message(2, s)}, {f: head(2, s)}, {f: message(3, s)}},
		"a hole":                 {{f: first(1)}, {f: message(3, s), missing: true}, {f: message(4, s)}},
		"twice":                  {{f: first(1)}, {f: message(2, s)}, {f: message(2, s), old: true}, {f: message(3, s)}},
		"late":                   {{f: first(1)}, {f: message(3, s), missing: true}, {f: message(2, s), old: true}, {f: message(4, s)}},
		"the last is lost":       {{f: first(1)}, {after: s, f: head(2, s), missing: true}, {f: head(2, s)}, {f: message(3, s)}},
		"an old head":            {{f: first(2)}, {f: head(1, s), old: true}, {f: message(3, s)}},
		"published before":       {{after: s, f: message(8, 2*s)}, {f: message(9, s)}},
		"the first is lost":      {{after: s, f: message(2, 10*ms), missing: true}},
		"the only one is lost":   {{after: 10 * s, f: head(1, 9*s), missing: true}},
		"the last one before":    {{after: 10 * s, f: head(5, 11*s)}, {f: message(6, 11*s)}, {f: message(8, s), missing: true}},
		"forgotten meanwhile":    {{f: first(1)}, {f: head(1, s)}, {after: s, f: over(1)}, {f: head(1, s)}, {after: time.Hour, f: first(9)}, {f: message(10, s)}},
		"forgotten in silence":   {{f: first(1)}, {f: head(1, s)}, {after: time.Hour, f: first(9), missing: true}, {f: message(10, s)}},
		"an end that was lost":   {{f: first(1)}, {after: s, f: over(5), missing: true}, {f: first(9)}, {f: message(10, s)}},
		"a gap and a hole":       {{f: first(1)}, {after: s, gap: true}, {after: 10 * ms, f: message(4, 500*ms)}, {f: message(6, ms), missing: true}},
		"a hole behind a gap":    {{f: first(1)}, {after: s, gap: true}, {after: s, f: message(4, 10*ms), missing: true}},
		"a gap and nothing else": {{f: first(1)}, {after: s, gap: true}, {after: s, f: message(2, 10*ms)}},
		"twice across a gap":     {{f: first(1)}, {after: s, gap: true}, {f: first(1), old: true}, {f: message(2, 2*s)}},
	} {
		now := time.Now()
		l := &line{relay: &Relay{config: Config{Tail: tail}.withDefaults()}, since: now}
		for i, x := range steps {
			now = now.Add(x.after)
			if x.gap {
				l.unsure(now)
				continue
			}
			if missing, old := l.follow(&x.f, now); missing != x.missing || old != x.old {
				t.Errorf("%s, step %d: missing %v, old %v", name, i, missing, old)
			}
		}
	}
	l := &line{relay: &Relay{config: Config{Tail: tail}.withDefaults()}}
	now := time.Now()
	for i := range uint64(1000) { // servers that came and went
		now = now.Add(tail)
		l.follow(&frame{node: i, number: 1, flags: flagFirst}, now)
	}
	if n := len(l.heard); n > 30 {
		t.Errorf("%d servers are remembered", n)
	}
}
