package chattest

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy carries TCP connections to a node, and breaks them on command: the offline
// switch of a browser leaves open WebSockets working.
type Proxy struct {
	listener net.Listener

	mu       sync.Mutex
	target   string             // guarded by mu
	refusing bool               // guarded by mu: no connection is accepted
	blocking bool               // guarded by mu: no WebSocket opens
	muting   bool               // guarded by mu: nothing passes to clients
	links    map[*link]struct{} // guarded by mu
	accepted int                // guarded by mu: WebSockets, from the beginning
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	socket         bool        // a WebSocket
	muteUp         atomic.Bool // nothing passes to the node any more
	muteDown       atomic.Bool // nothing passes to the client any more
}

const blocked = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// StartProxy listens on a port of its own.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: listener, target: target, links: map[*link]struct{}{}}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.Refuse(true)
		serving.Wait()
	})
	return p
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	first := make([]byte, 32<<10)
	n, err := client.Read(first) // a browser also connects to have a connection later
	if err != nil {
		return
	}
	first = first[:n]
	p.mu.Lock()
	target, refusing, blocking := p.target, p.refusing, p.blocking
	p.mu.Unlock()
	socket := bytes.HasPrefix(first, []byte("GET /v1/socket"))
	switch {
	case refusing:
		reset(client)
		return
	case blocking && socket:
		_, _ = io.WriteString(client, blocked)
		return
	}
	server, err := net.Dial("tcp", target)
	if err != nil {
		reset(client)
		return
	}
	defer server.Close()
	l := &link{client: client, server: server, socket: socket}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	if _, err := server.Write(first); err != nil {
		return
	}
	l.carry()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refusing || p.blocking && l.socket {
		return false
	}
	l.muteDown.Store(p.muting)
	p.links[l] = struct{}{}
	if l.socket {
		p.accepted++
	}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// carry copies both ways until one side ends.
func (l *link) carry() {
	var copying sync.WaitGroup
	copying.Go(func() { l.copy(l.server, l.client, &l.muteUp) })
	copying.Go(func() { l.copy(l.client, l.server, &l.muteDown) })
	copying.Wait()
}

// copy passes what is read, and reads on without passing anything once it is muted: the
// TCP connection stays up.
func (l *link) copy(to, from net.Conn, muted *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			break
		}
		if muted.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = l.client.Close()
	_ = l.server.Close()
}

// reset ends both sides by RST.
func (l *link) reset() {
	reset(l.client)
	reset(l.server)
}

func reset(c net.Conn) {
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
}

// Refuse ends every connection, those that exist as well, or no more.
func (p *Proxy) Refuse(on bool) {
	p.mu.Lock()
	p.refusing = on
	p.mu.Unlock()
	if on {
		p.Cut()
	}
}

// Block lets no WebSocket through, or all again. Those that exist end.
func (p *Proxy) Block(on bool) {
	p.mu.Lock()
	p.blocking = on
	p.mu.Unlock()
	if on {
		p.each(func(l *link) {
			if l.socket {
				l.reset()
			}
		})
	}
}

// Move sends new connections elsewhere, and returns where they went before. Those that
// exist end.
func (p *Proxy) Move(target string) (before string) {
	p.mu.Lock()
	before, p.target = p.target, target
	p.mu.Unlock()
	p.Cut()
	return before
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.muting = false
	p.mu.Unlock()
	p.each((*link).reset)
}

// Stall lets nothing through on the connections that exist, and keeps them open.
func (p *Proxy) Stall() {
	p.each(func(l *link) {
		l.muteUp.Store(true)
		l.muteDown.Store(true)
	})
}

// Mute lets what clients send through, and no answer, also on the connections that they
// make when they miss it, until all are cut.
func (p *Proxy) Mute() {
	p.mu.Lock()
	p.muting = true
	p.mu.Unlock()
	p.each(func(l *link) { l.muteDown.Store(true) })
}

func (p *Proxy) each(do func(*link)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		do(l)
	}
}

// Sockets is how many WebSockets there are, and how many there have been.
func (p *Proxy) Sockets() (now, ever int) {
	p.each(func(l *link) {
		if l.socket {
			now++
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return now, p.accepted
}
