package natsbroker_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// door is an address that stays while the server behind it ends and comes back at
// another: a port that a server gave up may be somebody else's the next moment. Whatever
// the server does with its connections, the other side sees too.
type door struct {
	ln net.Listener
	to atomic.Pointer[string] // nil: there is no server yet
	mu sync.Mutex
	// Guarded by mu.
	conns map[net.Conn]bool
	ended bool
}

// openDoor returns a door that closes with the test.
func openDoor(t *testing.T) *door {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{ln: ln, conns: make(map[net.Conn]bool)}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			work.Go(func() { d.pass(client) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		d.mu.Lock()
		d.ended = true
		for c := range d.conns {
			c.Close()
		}
		d.mu.Unlock()
		work.Wait()
	})
	return d
}

// url is where clients connect.
func (d *door) url() string { return "nats://" + d.ln.Addr().String() }

// lead has connections from now on made to a server.
func (d *door) lead(url string) {
	addr := strings.TrimPrefix(url, "nats://")
	d.to.Store(&addr)
}

// pass connects a client with the server until one of them closes.
func (d *door) pass(client net.Conn) {
	defer client.Close()
	to := d.to.Load()
	if to == nil {
		return
	}
	server, err := net.Dial("tcp", *to)
	if err != nil {
		return
	}
	defer server.Close()
	if !d.add(client, server) {
		return
	}
	var both sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		both.Go(func() {
			_, _ = io.Copy(to, from)
			client.Close()
			server.Close()
		})
	}
	both.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.conns, client)
	delete(d.conns, server)
}

func (d *door) add(conns ...net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range conns {
		d.conns[c] = true
	}
	return !d.ended
}

// start runs an embedded server behind the door, at a port that it chooses.
func (d *door) start(t *testing.T, o natsserver.Options) *natsserver.Server {
	t.Helper()
	o.Addr = "127.0.0.1:0"
	s, err := natsserver.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	d.lead(s.URL())
	return s
}
