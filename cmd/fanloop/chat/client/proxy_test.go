package client

import (
	"io"
	"net"
	"sync"
	"testing"
)

// mode is what a proxy does with connections.
type mode uint8

const (
	pass   mode = iota
	refuse      // ends them at once, those that exist as well
)

// proxy carries TCP connections to the service, and breaks them on command:
// the offline switch of a browser leaves open WebSockets working.
type proxy struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	mode  mode
	links map[*link]struct{}
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	stalled        chan struct{} // closed when nothing passes any more
}

func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, target: target, links: map[*link]struct{}{}}
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
		listener.Close()
		p.set(refuse)
		serving.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		client.Close()
		return
	}
	l := &link{client, server, make(chan struct{})}
	if !p.add(l) {
		l.reset()
		return
	}
	var copying sync.WaitGroup
	copying.Go(func() { l.carry(server, client) })
	copying.Go(func() { l.carry(client, server) })
	copying.Wait()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mode == refuse {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

// carry copies until one side ends, and reads on without passing anything
// where the link is stalled.
func (l *link) carry(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			break
		}
		select {
		case <-l.stalled:
			io.Copy(io.Discard, from) // the TCP connection stays up
		default:
			if _, err := to.Write(buffer[:n]); err == nil {
				continue
			}
		}
		break
	}
	l.client.Close()
	l.server.Close()
}

// reset ends both sides by RST.
func (l *link) reset() {
	for _, conn := range []net.Conn{l.client, l.server} {
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
}

// set changes the mode. Refusing ends what there is.
func (p *proxy) set(m mode) {
	p.mu.Lock()
	p.mode = m
	p.mu.Unlock()
	if m == refuse {
		p.cut()
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
}

// stall lets nothing through the connections that exist, and tells nobody.
func (p *proxy) stall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		select {
		case <-l.stalled:
		default:
			close(l.stalled)
		}
	}
}
