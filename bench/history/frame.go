package history

import (
	"encoding/binary"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// stampSize is what a message begins with: its number and when it was to be published.
const stampSize = 16

// encoder sends messages as they are. A page begins with one byte, so it is never
// taken for a message: lengths tell them apart.
type encoder struct{}

func (encoder) Message(m *cluster.Message) engine.Message { return engine.BinaryMessage(m.Data) }

func (encoder) Page(p *live.Page) engine.Message {
	data := []byte{0}
	if p.Reset {
		data[0] = 1
	}
	for _, m := range p.Messages {
		data = append(data, m.Data...)
	}
	return engine.BinaryMessage(data)
}

// split calls fn for each message of size bytes in a frame, and reports whether the
// frame is a page. lost: messages are missing in front of it.
func split(data []byte, size int, fn func(number int, at int64)) (page, lost bool) {
	if page = len(data)%size == 1; page {
		lost = data[0] == 1
		data = data[1:]
	}
	for ; len(data) >= size; data = data[size:] {
		fn(int(binary.LittleEndian.Uint64(data)), int64(binary.LittleEndian.Uint64(data[8:])))
	}
	return page, lost
}

// stamped returns a message of size bytes.
func stamped(number int, at int64, size int) []byte {
	data := make([]byte, size)
	binary.LittleEndian.PutUint64(data, uint64(number))
	binary.LittleEndian.PutUint64(data[8:], uint64(at))
	return data
}

// Quantiles of a latency.
type Quantiles struct{ P50, P99, Max time.Duration }

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(time.Minute), 3) }

func quantiles(h *hdrhistogram.Histogram) Quantiles {
	return Quantiles{time.Duration(h.ValueAtQuantile(50)), time.Duration(h.ValueAtQuantile(99)), time.Duration(h.Max())}
}
