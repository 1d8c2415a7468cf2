package live_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// callbacks are those of a site whose first call of one of them calls back.
type callbacks struct {
	encoder
	at     string // which calls
	site   atomic.Pointer[site]
	ws     atomic.Pointer[engine.WebSocket]
	call   func(*site, *engine.WebSocket)
	called atomic.Bool
	done   chan struct{} // closed when the call has returned
}

func (c *callbacks) in(name string) {
	if name == c.at && !c.called.Swap(true) {
		c.call(c.site.Load(), c.ws.Load())
		close(c.done)
	}
}

func (c *callbacks) Message(m *cluster.Message) engine.Message {
	c.in("Message")
	return c.encoder.Message(m)
}

func (c *callbacks) Page(p *live.Page) engine.Message {
	if p.WebSocket != nil {
		c.in("Page")
	} else {
		c.in("Page for all")
	}
	return c.encoder.Page(p)
}

func (c *callbacks) maySubscribe(*engine.WebSocket, string) error {
	c.in("MaySubscribe")
	if c.at == "Ended" {
		return errors.New("refused")
	}
	return nil
}

func (c *callbacks) ended(*engine.WebSocket, string, error) {
	c.in("Ended")
	c.in("Ended in the sweep")
}

// Every callback may call the library: nothing is locked meanwhile, and a Close waits for
// everything but the callback that it is called in.
func TestCallbacksMayCallBack(t *testing.T) {
	calls := map[string]func(*site, *engine.WebSocket){
		"Subscribe": func(s *site, ws *engine.WebSocket) {
			if err := s.topics.Subscribe(ws, "other", cluster.Position{}); err != nil {
				t.Errorf("Subscribe: %v", err)
			}
		},
		"Unsubscribe": func(s *site, ws *engine.WebSocket) { s.topics.Unsubscribe(ws, "room") },
		"Publish":     func(s *site, _ *engine.WebSocket) { put(t, s.conn, "room", "from a callback") },
		"Stats":       func(s *site, _ *engine.WebSocket) { s.topics.Stats() },
		"Close":       func(s *site, _ *engine.WebSocket) { s.topics.Close() },
		"Node.Close":  func(s *site, _ *engine.WebSocket) { s.node.Close() },
		"CloseNow":    func(_ *site, ws *engine.WebSocket) { ws.CloseNow() },
		"Server.Close": func(s *site, _ *engine.WebSocket) {
			if err := s.server.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		},
	}
	isLive := func(s *site) { until(t, "it is live", func() bool { return s.topics.Stats().Live == 1 }) }
	triggers := map[string]func(*clustertest.Store, *site){
		"Message": func(_ *clustertest.Store, s *site) {
			isLive(s)
			put(t, s.conn, "room", "m1")
		},
		"Page": func(*clustertest.Store, *site) {},
		"Page for all": func(store *clustertest.Store, s *site) {
			isLive(s)
			store.Stop()
			store.Wipe()
			store.Start()
		},
		"MaySubscribe":       func(*clustertest.Store, *site) {},
		"Ended":              func(*clustertest.Store, *site) {},
		"Ended in the sweep": func(*clustertest.Store, *site) {}, // it does not read
	}
	for at, trigger := range triggers {
		for name, call := range calls {
			t.Run(at+" "+name, func(t *testing.T) {
				t.Parallel()
				store := clustertest.NewStore(clustertest.Options{})
				c := &callbacks{at: at, call: call, done: make(chan struct{})}
				o, from := options{maySubscribe: c.maySubscribe}, cluster.Position{}
				if at == "Ended in the sweep" {
					o = narrow
					o.live.Within = 100 * time.Millisecond
					conn := store.Connect()
					from = put(t, conn, "room", "start")
					for i := range 100 {
						put(t, conn, "room", big(i))
					}
				}
				o.live.Encoder, o.live.Ended = c, c.ended
				s := openSite(t, store.Connect(), o)
				c.site.Store(s)
				p := s.dial()
				c.ws.Store(<-s.opened)
				if err := p.ask(command{Topic: "room", From: from}); err != nil {
					t.Fatal(err)
				}
				trigger(store, s)
				until(t, "the callback has returned", func() bool {
					select {
					case <-c.done:
						return true
					default:
						return false
					}
				})
				s.topics.Close()
			})
		}
	}
}
