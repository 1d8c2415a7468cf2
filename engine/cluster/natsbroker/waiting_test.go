package natsbroker_test

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// pipe dials a server, and keeps what is written while it is held. It is a
// nats.CustomDialer.
type pipe struct {
	hold    sync.Mutex
	writing atomic.Int64 // writes that wait, or are under way
}

func (p *pipe) Dial(network, address string) (net.Conn, error) {
	nc, err := net.Dial(network, address)
	return &pipeEnd{nc, p}, err
}

type pipeEnd struct {
	net.Conn
	p *pipe
}

func (e *pipeEnd) Write(data []byte) (int, error) {
	e.p.writing.Add(1)
	defer e.p.writing.Add(-1)
	e.p.hold.Lock()
	defer e.p.hold.Unlock()
	return e.Conn.Write(data)
}

// While the server does not read, loops listen to channels of the bus, stop, and send all
// the same, as they do in a storm of topics. When it reads again, the channels are heard.
func TestListenNeverWaits(t *testing.T) {
	server := startServer(t, natsserver.Options{Addr: "127.0.0.1:0"})
	p := new(pipe)
	a := connect(t, server, natsbroker.Config{Shards: 1})
	b := connect(t, server, natsbroker.Config{URL: server.URL(), Options: []nats.Option{nats.SetCustomDialer(p)}, Shards: 1})
	p.hold.Lock()
	release := sync.OnceFunc(p.hold.Unlock)
	defer release()
	until(t, "a write waits", func() bool {
		if err := b.Send(talk, []byte(strings.Repeat("x", 1000))); err != nil {
			t.Fatal(err)
		}
		return p.writing.Load() > 0
	})
	h := new(hearer)
	var listened atomic.Int64
	go func() {
		for n := range 5000 {
			stop, err := b.Listen(cluster.Channel{Kind: "talk", Topic: fmt.Sprint(n)}, new(hearer))
			if err != nil {
				t.Error(err)
				return
			}
			stop()
			listened.Add(1)
		}
		if _, err := b.Listen(talk, h); err != nil {
			t.Error(err)
		}
		listened.Add(1)
	}()
	until(t, "all listen while nothing can be written", func() bool { return listened.Load() == 5001 })
	release()
	heard(t, a, h, "one")
}
