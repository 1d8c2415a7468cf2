package history

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

const roomName = "room"

// serveNode is a node: everybody who connects is in the room.
func serveNode(ctx context.Context, o order, lines *json.Decoder, answers *json.Encoder) error {
	broker, err := natsbroker.Connect(ctx, natsbroker.Config{URL: o.URL})
	if err != nil {
		return err
	}
	defer broker.Close()
	node := cluster.NewNode(broker, cluster.Config{})
	defer node.Close()
	srv := &engine.Server{Loops: 1}
	topics := live.New(node, srv, live.Config{Encoder: encoder{}})
	defer topics.Close()
	srv.Callbacks = topics.Callbacks(engine.Callbacks{})
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) {
		if topics.Subscribe(ws, roomName, cluster.Position{}) != nil {
			ws.CloseNow()
		}
	}
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer srv.Close()
	for err := answers.Encode(report{Addr: ln.Addr().String()}); ; {
		var q question
		if err == nil {
			err = lines.Decode(&q)
		}
		if err != nil {
			return ended(err)
		}
		r := report{CPU: cpuTime(), Live: topics.Stats().Live}
		if q.Memory {
			r.RSS = resident()
		}
		err = answers.Encode(r)
	}
}

// ended is err, unless that is the end of what a child is told.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// crowd is clients of one node.
type crowd struct {
	order
	joined   atomic.Int64
	messages []delivered
	failed   atomic.Pointer[error]
}

// delivered is what arrived of one message.
type delivered struct{ count, last atomic.Int64 }

// connecting is how many clients connect at a time.
const connecting = 64

func serveCrowd(ctx context.Context, o order, lines *json.Decoder, answers *json.Encoder) error {
	c := &crowd{order: o, messages: make([]delivered, o.Messages)}
	defer c.connect(ctx)()
	if err := c.await(ctx, func() bool { return c.joined.Load() == int64(o.Conns) }); err != nil {
		return err
	}
	for err := answers.Encode(report{}); ; {
		var q question
		if err == nil {
			err = lines.Decode(&q)
		}
		if err != nil {
			return ended(err)
		}
		m := &c.messages[q.Number]
		if err := c.await(ctx, func() bool { return m.count.Load() == int64(o.Conns) }); err != nil {
			return err
		}
		err = answers.Encode(report{Count: int(m.count.Load()), Last: m.last.Load()})
	}
}

// await waits for a condition, for a while.
func (c *crowd) await(ctx context.Context, met func() bool) error {
	for limit := time.Now().Add(settle); !met() && time.Now().Before(limit); {
		if err := c.failed.Load(); err != nil {
			return *err
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// connect opens all connections. The returned function drops them.
func (c *crowd) connect(ctx context.Context) (end func()) {
	callbacks := engine.Callbacks{OnBinary: c.receive}
	var next atomic.Int64
	var workers sync.WaitGroup
	all := make([]*engine.WebSocket, c.Conns)
	for range connecting {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < c.Conns; i = int(next.Add(1)) - 1 {
				ws, err := engine.Dial(ctx, "ws://"+c.URL, &engine.DialOptions{Callbacks: callbacks})
				if err != nil {
					c.failed.Store(&err)
					return
				}
				all[i] = ws
			}
		})
	}
	workers.Wait()
	return func() {
		for _, ws := range all {
			if ws != nil {
				ws.CloseNow()
			}
		}
	}
}

func (c *crowd) receive(_ *engine.WebSocket, data []byte) {
	now := time.Now().UnixNano()
	page, lost := split(data, c.Size, func(number int, _ int64) {
		m := &c.messages[number]
		for last := m.last.Load(); last < now && !m.last.CompareAndSwap(last, now); last = m.last.Load() {
		}
		m.count.Add(1)
	})
	if lost {
		err := errors.New("a client lost its position")
		c.failed.Store(&err)
	}
	if page && len(data) == 1 {
		c.joined.Add(1)
	}
}
