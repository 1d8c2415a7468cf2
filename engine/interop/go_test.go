package interop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// goPeer is one Go implementation of WebSocket.
type goPeer struct {
	name   string
	dial   func(ctx context.Context, url string, onPong func(string)) (goConn, error)
	accept func(w http.ResponseWriter, r *http.Request, onPong func(string)) (goConn, error)

	// The cases in which its client and its server agree on compression, and
	// those in which its server agrees to what it ignores.
	dials, accepts, ignores []string
}

// None of them bounds its window for others.
var goPeers = []goPeer{
	{"gorilla", dialGorillaPeer, acceptGorilla,
		[]string{"compressed", "takeover", "server window"}, []string{"compressed", "takeover"},
		[]string{"server window", "both windows", "smallest windows"}},
	{"coder", dialCoder, acceptCoder,
		[]string{"compressed", "takeover", "server window"}, []string{"compressed", "takeover"}, nil},
	{"gobwas", dialGobwas, acceptGobwas, nil, nil, nil},
}

// goConn is a connection of one of them. One goroutine receives; the others
// do not send at the same time.
type goConn interface {
	// send sends one message. Several pieces go in as many frames.
	send(op engine.OpCode, pieces ...[]byte) error
	// receive returns the next message, or *closedError after a close frame.
	receive() (message, error)
	// ping has the payload of the pong given to onPong, while receive runs.
	ping(payload string) error
	// close sends a close frame; 1005 means an empty one. The answer is left to
	// receive, or taken in if finishes.
	close(code int, reason string) error
	finishes() bool
	drop()
	subprotocol() string
}

// closedError is a close frame that was received.
type closedError struct {
	code   int
	reason string
}

func (e *closedError) Error() string { return fmt.Sprintf("closed with %d %q", e.code, e.reason) }

// How engine.Dial gets on with the servers of other Go packages.
func TestInteropDialToGo(t *testing.T) {
	for _, p := range goPeers {
		t.Run(p.name, func(t *testing.T) {
			eachCase(t, deflateCases, func(t *testing.T, c deflateCase, _ bool) {
				agreed := slices.Contains(p.accepts, c.name)
				ends := make(chan closeReport, 256)
				srv := httptest.NewServer(p.contract(ends))
				t.Cleanup(srv.Close)
				addr := strings.TrimPrefix(srv.URL, "http://")
				if slices.Contains(p.ignores, c.name) { // H12
					wantRefusedExtension(t, "ws://"+addr+"/echo", c.compression)
					return
				}
				testDial(t, &foreignServer{addr, ends, c.compression, agreed, nil})
			})
		})
	}
}

// contract serves as the interoperability tests want it.
func (p *goPeer) contract(ends chan<- closeReport) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var c goConn
		ready := make(chan struct{})
		onPong := func(payload string) {
			<-ready
			_ = c.send(engine.Text, []byte("pong "+payload))
		}
		c, err := p.accept(w, r, onPong)
		if err != nil {
			return // answered; the client reports it
		}
		close(ready)
		defer c.drop()
		switch r.URL.Path {
		case "/drop":
			return
		case "/bye":
			if err := c.close(byeCode, byeReason); c.finishes() && err == nil {
				ends <- closeReport{"/bye", byeCode, ""}
				return
			}
		}
		ends <- serveGo(c, r.URL.Path)
	}
}

func serveGo(c goConn, path string) closeReport {
	for {
		m, err := c.receive()
		var closed *closedError
		if errors.As(err, &closed) {
			return closeReport{path, closed.code, closed.reason}
		}
		if err != nil {
			return closeReport{path, 1006, ""}
		}
		switch path {
		case "/ping":
			err = c.ping(m.payload)
		case "/fragments":
			pieces := thirds([]byte(m.payload))
			err = c.send(m.op, pieces[:]...)
		default:
			err = c.send(m.op, []byte(m.payload))
		}
		if err != nil {
			return closeReport{path, 1006, ""}
		}
	}
}

// How engine.Server gets on with the clients of other Go packages.
func TestInteropServeGo(t *testing.T) {
	for _, p := range goPeers {
		t.Run(p.name, func(t *testing.T) {
			eachCase(t, deflateCases, func(t *testing.T, c deflateCase, _ bool) {
				agreed := slices.Contains(p.dials, c.name)
				addr, ends := interopServer(t, c.compression, agreed, nil)
				testServer(t, &goClient{p, "ws://" + addr, ends})
			})
		})
	}
}

// goClient is a client of another package against an engine.Server.
type goClient struct {
	goPeer
	url  string
	ends <-chan closeReport
}

// connect opens a connection that ends with the test. onPong may be nil.
func (p *goClient) connect(t *testing.T, path string, onPong func(string)) goConn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	if onPong == nil {
		onPong = func(string) {}
	}
	c, err := p.dial(ctx, p.url+path, onPong)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.drop)
	return c
}

func exchangeGo(t *testing.T, c goConn, m message, pieces ...[]byte) {
	t.Helper()
	if err := c.send(m.op, pieces...); err != nil {
		t.Fatalf("sending %v: %v", m, err)
	}
	wantGo(t, c, m)
}

func wantGo(t *testing.T, c goConn, want message) {
	t.Helper()
	if got, err := c.receive(); err != nil || got != want {
		t.Fatalf("got %v (%v), want %v", got, err, want)
	}
}

// closeInOrder is a whole closing handshake begun by c.
func closeInOrder(c goConn, code int, reason string) error {
	defer c.drop()
	if err := c.close(code, reason); err != nil || c.finishes() {
		return err
	}
	_, err := c.receive()
	var closed *closedError
	if !errors.As(err, &closed) || closed.code != code {
		return fmt.Errorf("the answer to the close frame is %v, want the code %d", err, code)
	}
	return nil
}

// leave closes, and compares what the engine was told.
func (p *goClient) leave(t *testing.T, c goConn, want closeReport) {
	t.Helper()
	if err := closeInOrder(c, want.Code, want.Reason); err != nil {
		t.Fatal(err)
	}
	if got := within(t, "OnClose", p.ends); got != want {
		t.Errorf("OnClose was told %+v, want %+v", got, want)
	}
}

func testServer(t *testing.T, p *goClient) {
	for _, path := range []string{"/echo", "/fragments"} {
		t.Run("messages of every length form come back from "+path, func(t *testing.T) {
			c := p.connect(t, path, nil)
			for _, m := range contractMessages() {
				exchangeGo(t, c, m, []byte(m.payload))
			}
			p.leave(t, c, closeReport{path, leaveCode, leaveReason})
		})
	}
	t.Run("messages sent in fragments arrive whole", func(t *testing.T) {
		c := p.connect(t, "/echo", nil)
		for _, m := range contractMessages() {
			pieces := thirds([]byte(m.payload))
			exchangeGo(t, c, m, pieces[:]...)
		}
		p.leave(t, c, closeReport{"/echo", 1000, ""})
	})
	t.Run("a ping is answered with its payload", func(t *testing.T) {
		pongs := make(chan string, 1)
		c := p.connect(t, "/echo", func(payload string) { pongs <- payload })
		received := make(chan error, 1)
		go func() {
			_, err := c.receive()
			received <- err
		}()
		if err := c.ping(pingedPayload); err != nil {
			t.Fatal(err)
		}
		if got := within(t, "the pong", pongs); got != pingedPayload {
			t.Errorf("the pong has %q, want %q", got, pingedPayload)
		}
		if err := c.send(engine.Text, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if err := within(t, "the echo", received); err != nil {
			t.Fatal(err)
		}
		p.leave(t, c, closeReport{"/echo", 1001, ""})
	})
	t.Run("the server's ping is answered with its payload", func(t *testing.T) {
		c := p.connect(t, "/ping", nil)
		exchangeGo(t, c, message{engine.Text, "pong " + pingedPayload}, []byte(pingedPayload))
		p.leave(t, c, closeReport{"/ping", 4999, ""})
	})
	t.Run("16 MiB", func(t *testing.T) {
		c := p.connect(t, "/echo", nil)
		m := message{engine.Binary, string(pattern(largest))}
		exchangeGo(t, c, m, []byte(m.payload))
		p.leave(t, c, closeReport{"/echo", 1000, ""})
	})
	t.Run("the subprotocol is agreed", func(t *testing.T) {
		c := p.connect(t, "/echo", nil)
		if got := c.subprotocol(); got != subprotocol {
			t.Errorf("subprotocol %q, want %q", got, subprotocol)
		}
		p.leave(t, c, closeReport{"/echo", 1005, ""})
	})
	t.Run("the server closes", func(t *testing.T) {
		c := p.connect(t, "/bye", nil)
		_, err := c.receive()
		c.drop()
		var closed *closedError
		if !errors.As(err, &closed) || *closed != (closedError{byeCode, byeReason}) {
			t.Errorf("received %v, want the close with %d %q", err, byeCode, byeReason)
		}
		if got := within(t, "OnClose", p.ends); got.Code != byeCode {
			t.Errorf("OnClose was told %+v, want the code %d", got, byeCode)
		}
	})
	t.Run("the client drops the connection", func(t *testing.T) {
		p.connect(t, "/echo", nil).drop()
		if got := within(t, "OnClose", p.ends); got.Code != 1006 {
			t.Errorf("OnClose was told %+v, want 1006", got)
		}
	})
	t.Run("many connections keep the order of their messages", func(t *testing.T) {
		var all sync.WaitGroup
		for i := range 20 {
			c := p.connect(t, "/echo", nil)
			all.Go(func() { countGo(t, c, i) })
		}
		all.Wait()
		for range 20 {
			if got := within(t, "OnClose", p.ends); got.Code != leaveCode {
				t.Errorf("OnClose was told %+v, want the code %d", got, leaveCode)
			}
		}
	})
}

func countGo(t *testing.T, c goConn, id int) {
	for n := range 50 {
		if err := c.send(engine.Text, fmt.Appendf(nil, "%d of %d", n, id)); err != nil {
			t.Error(err)
			return
		}
	}
	for n := range 50 {
		want := fmt.Sprintf("%d of %d", n, id)
		if got, err := c.receive(); err != nil || got.payload != want {
			t.Errorf("got %v (%v), want %q", got, err, want)
			return
		}
	}
	if err := closeInOrder(c, leaveCode, leaveReason); err != nil {
		t.Error(err)
	}
}

// bound ends what a test waits for on nc.
func bound(nc net.Conn) { _ = nc.SetDeadline(time.Now().Add(patience)) }
