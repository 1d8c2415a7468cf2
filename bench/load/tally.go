package load

import (
	"runtime"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// longest is the latency, in nanoseconds, beyond which all count as this.
const longest = 100e9

// newHistogram keeps three digits of latencies in nanoseconds.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, longest, 3) }

// tally is what a worker counts between two takes.
type tally struct {
	Messages   uint64 // arrived
	Sent       uint64
	Skipped    uint64
	wire       uint64 // payload bytes of the messages as they came
	compressed uint64 // messages that came compressed
	late       int64
	latency    *hdrhistogram.Histogram // from the time a message was to leave to its arrival
	last       *hdrhistogram.Histogram // of a publish, to the last of its receivers

	start, end       int64 // clock
	arrived          int64 // clock, of the last message
	ownStart, ownEnd int64 // CPU time of this process
	srvStart, srvEnd int64 // CPU time of the server
	err              error
}

func newTally() *tally { return &tally{latency: newHistogram(), last: newHistogram()} }

// record counts a message that arrived at at and took ns.
func (t *tally) record(at, ns int64) {
	t.Messages++
	t.arrived = at
	_ = t.latency.RecordValue(min(ns, longest)) // it is in range
}

func (t *tally) recordLast(ns int64) { _ = t.last.RecordValue(min(ns, longest)) } // it is in range

func (t *tally) recordLate(ns int64) { t.late = max(t.late, ns) }

func (t *tally) reset() {
	latency, last := t.latency, t.last
	latency.Reset()
	last.Reset()
	*t = tally{latency: latency, last: last}
}

// mallocs counts the heap objects made so far, exactly: it stops the world for
// a moment.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// until ends the span of t. The first worker's loop reads the CPU clocks for
// all, there and then: another goroutine may have to wait for a busy CPU.
func (t *tally) until(w *worker) {
	t.end = now()
	if w.loop.Index() != 0 {
		return
	}
	t.ownEnd, t.srvEnd, t.err = cpuTimes(w.gen.cfg.ServerPID)
}

// from begins the span of t where that of prev ended.
func (t *tally) from(prev *tally) {
	t.start, t.ownStart, t.srvStart = prev.end, prev.ownEnd, prev.srvEnd
}

// Window is what a generator saw over a span of time.
type Window struct {
	Messages     uint64  `json:"messages"`             // arrived: echoes, deliveries or handshakes
	Sent         uint64  `json:"sent"`                 // by this process
	Wire         uint64  `json:"wire_bytes"`           // payload of the messages as they came, before inflating
	Compressed   uint64  `json:"compressed,omitempty"` // messages that came compressed
	Skipped      uint64  `json:"skipped,omitempty"`    // open loop: not sent, because too many were under way
	Late         int64   `json:"late_ns,omitempty"`    // open loop: the longest, in ns, that a message left after its time
	Seconds      float64 `json:"seconds"`
	ClientMicros float64 `json:"client_cpu_us"` // CPU time of the generator's process
	ServerMicros float64 `json:"server_cpu_us"` // CPU time of the server process; 0 if unknown
	Allocs       uint64  `json:"allocs"`        // heap objects the generator's process made
	Latency      Latency `json:"latency"`       // in ns, from the time a message was to leave to its arrival
	Last         Latency `json:"last"`          // in ns, from publish to the last delivery; only what completed

	active float64 // seconds to the last arrival
}

// add adds what one worker counted.
func (w *Window) add(t *tally) {
	w.Messages += t.Messages
	w.Sent += t.Sent
	w.Skipped += t.Skipped
	w.Wire += t.wire
	w.Compressed += t.compressed
	w.Late = max(w.Late, t.late)
	w.Seconds = max(w.Seconds, float64(t.end-t.start)/1e9)
	w.active = max(w.active, float64(t.arrived-t.start)/1e9)
	w.ClientMicros += float64(t.ownEnd-t.ownStart) / 1e3
	w.ServerMicros += float64(t.srvEnd-t.srvStart) / 1e3
	w.Latency.merge(t.latency)
	w.Last.merge(t.last)
}

// Append adds a span that followed w.
func (w *Window) Append(next Window) {
	seconds := w.Seconds + next.Seconds
	w.Join(next)
	w.Seconds = seconds
	w.ServerMicros += next.ServerMicros
}

// Join adds what another process saw over the same span, of which w alone
// measured the server.
func (w *Window) Join(other Window) {
	w.Messages += other.Messages
	w.Sent += other.Sent
	w.Skipped += other.Skipped
	w.Wire += other.Wire
	w.Compressed += other.Compressed
	w.Late = max(w.Late, other.Late)
	w.Seconds = max(w.Seconds, other.Seconds)
	w.ClientMicros += other.ClientMicros
	w.Allocs += other.Allocs
	w.Latency.Add(other.Latency)
	w.Last.Add(other.Last)
}

// Rate is messages a second.
func (w Window) Rate() float64 { return float64(w.Messages) / w.Seconds }

// ClientShare is the part of one CPU that the generator used.
func (w Window) ClientShare() float64 { return w.ClientMicros / 1e6 / w.Seconds }

// ServerShare is the part of one CPU that the server used.
func (w Window) ServerShare() float64 { return w.ServerMicros / 1e6 / w.Seconds }

// Latency is a histogram of latencies in nanoseconds. The zero value is empty.
// In JSON it is what HdrHistogram encodes.
type Latency struct{ h *hdrhistogram.Histogram }

func (l *Latency) merge(h *hdrhistogram.Histogram) {
	if h.TotalCount() == 0 {
		return
	}
	if l.h == nil {
		l.h = newHistogram()
	}
	l.h.Merge(h)
}

// Add adds the latencies of other.
func (l *Latency) Add(other Latency) {
	if other.h != nil {
		l.merge(other.h)
	}
}

// Count is the number of latencies.
func (l Latency) Count() int64 {
	if l.h == nil {
		return 0
	}
	return l.h.TotalCount()
}

// At returns the latency in nanoseconds below which the part q (0 to 1) of all
// lie, to three digits; 0 if there are none.
func (l Latency) At(q float64) int64 {
	if l.h == nil {
		return 0
	}
	return l.h.ValueAtPercentile(100 * q)
}

// Max is the longest latency in nanoseconds.
func (l Latency) Max() int64 {
	if l.h == nil {
		return 0
	}
	return l.h.Max()
}

// Mean is the mean latency in nanoseconds.
func (l Latency) Mean() float64 {
	if l.h == nil {
		return 0
	}
	return l.h.Mean()
}

// MarshalText implements encoding.TextMarshaler.
func (l Latency) MarshalText() ([]byte, error) {
	if l.h == nil {
		return nil, nil
	}
	return l.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Latency) UnmarshalText(text []byte) (err error) {
	l.h = nil
	if len(text) > 0 {
		l.h, err = hdrhistogram.Decode(text)
	}
	return err
}

// Record adds one latency.
func (l *Latency) Record(ns int64) {
	if l.h == nil {
		l.h = newHistogram()
	}
	_ = l.h.RecordValue(min(max(ns, 0), longest)) // it is in range
}
