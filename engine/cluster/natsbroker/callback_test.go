package natsbroker_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// calling is a Listener and a Receiver that calls back.
type calling struct{ call func() }

func (c calling) Live(cluster.Message) { c.call() }
func (c calling) Receive([]byte)       { c.call() }
func (c calling) Gap(error)            { c.call() }

// Callbacks may call the Broker: Close waits for everything but the callback that it is
// called in, and in OnGap nothing is locked.
func TestCallbacksMayCallBack(t *testing.T) {
	for name, call := range map[string]func(*natsbroker.Broker){
		"Close": func(b *natsbroker.Broker) { b.Close() },
		"Send": func(b *natsbroker.Broker) {
			_ = b.Send(talk, nil) // there may be no connection
		},
		"Follow": func(b *natsbroker.Broker) {
			if _, err := b.Follow(topic, calling{func() {}}); err != nil {
				t.Error(err)
			}
		},
		"Publish": func(b *natsbroker.Broker) {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			_, _ = b.Publish(ctx, topic, "", nil) // the same
		},
	} {
		for _, at := range []string{"Live", "Receive", "Gap", "OnGap"} {
			t.Run(name+" in "+at, func(t *testing.T) {
				t.Parallel()
				server := startServer(t, natsserver.Options{Addr: "127.0.0.1:0"})
				p := startProxy(t, server.URL()[len("nats://"):])
				var broker atomic.Pointer[natsbroker.Broker]
				var called, done atomic.Bool
				in := func() {
					if !called.Swap(true) {
						call(broker.Load())
						done.Store(true)
					}
				}
				config := natsbroker.Config{URL: "nats://" + p.ln.Addr().String(), Shards: 1, ProbeEvery: 100 * time.Millisecond}
				if at == "OnGap" {
					config.OnGap = func(error) {
						if broker.Load() != nil {
							in()
						}
					}
				}
				b := connect(t, server, config)
				broker.Store(b)
				other := connect(t, server, natsbroker.Config{Shards: 1})
				switch at {
				case "Live":
					follow := calling{in}
					if _, err := b.Follow(topic, follow); err != nil {
						t.Fatal(err)
					}
					number := 0
					until(t, "it is delivered", func() bool { // again where a slow machine is taken for a silent one
						number++
						publish(t, other, fmt.Sprint("m", number))
						return called.Load()
					})
				case "Receive", "Gap":
					if _, err := b.Listen(talk, calling{in}); err != nil {
						t.Fatal(err)
					}
				}
				switch at {
				case "Receive":
					until(t, "it is heard", func() bool { _ = other.Send(talk, nil); return called.Load() })
				case "Gap", "OnGap":
					p.stall()
				}
				until(t, "the callback has returned", done.Load)
			})
		}
	}
}

// What is delivered does not wait for what the client writes: its lock is held while it
// does, and a server that does not read may still send.
func TestDeliveryDoesNotWaitForWrites(t *testing.T) {
	server := startServer(t, natsserver.Options{Addr: "127.0.0.1:0"})
	p := startOneWay(t, server.URL()[len("nats://"):])
	defer p.end()
	b := connect(t, server, natsbroker.Config{URL: "nats://" + p.ln.Addr().String(), Shards: 1, ProbeEvery: time.Hour})
	other := connect(t, server, natsbroker.Config{Shards: 1})
	h := listen(t, b)
	heard(t, other, h, "before")
	until(t, "the server's first ping", p.pinged.Load) // whose answer would wait for the writes; two minutes to the next
	p.oneWay.Store(true)
	large := make([]byte, 100<<10)
	until(t, "it takes no more", func() bool { return b.Send(talk, large) != nil })
	heard(t, other, h, "while it writes")
}

// oneWay is a proxy of one connection that stops passing on what the client writes.
type oneWay struct {
	ln     net.Listener
	oneWay atomic.Bool
	pinged atomic.Bool // by the server
	end    func()
}

func startOneWay(t *testing.T, to string) *oneWay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	p := &oneWay{ln: ln, end: func() { close(over); ln.Close() }}
	pass := func(to, from net.Conn, stops bool) {
		defer to.Close()
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if stops && p.oneWay.Load() {
				<-over
				return
			}
			if !stops && bytes.Contains(buffer[:n], []byte("PING\r\n")) {
				p.pinged.Store(true)
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
	}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			go pass(server, client, true)
			go pass(client, server, false)
		}
	}()
	return p
}
