package admin

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// pipes is a listener whose connections are made by dial.
type pipes struct {
	arriving chan net.Conn
	closed   chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.arriving:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8001} }

// ofOperator has an address of this machine.
type ofOperator struct{ net.Conn }

func (ofOperator) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

func (p *pipes) dial() net.Conn {
	here, there := net.Pipe()
	p.arriving <- ofOperator{there}
	return here
}

// traced is a node of which an operator sees nothing but that nothing happens.
type traced struct{ Node }

func (traced) Trace(ctx context.Context, _ service.Traced) (<-chan service.Event, error) {
	none := make(chan service.Event)
	context.AfterFunc(ctx, func() { close(none) })
	return none, nil
}

// A request that comes half is cut, wherever it stops. An answer that lasts is not.
func TestHalfARequestIsCut(t *testing.T) {
	const head = "POST /admin/trace HTTP/1.1\r\nHost: 127.0.0.1:8001\r\nContent-Type: application/json\r\nContent-Length: 14\r\n"
	for _, tt := range []struct{ name, sent, answer string }{
		{"nothing", "", ""},
		{"half a line", "POST /admin/tr", "HTTP/1.1 400"},
		{"half a head", head, ""},
		{"half a body", head + "\r\n" + `{"user":`, "HTTP/1.1 408"},
		{"half a body that nobody reads", "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:8001\r\nContent-Length: 14\r\n\r\nx", "HTTP/1.1 200"},
		{"all of it", head + "\r\n" + `{"user":"ann"}`, "HTTP/1.1 200"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &pipes{make(chan net.Conn), make(chan struct{})}
			h := New(Config{Node: traced{}, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
			s := serve(l, h)
			defer s.Shutdown(context.Background())
			conn := l.dial()
			defer conn.Close()
			if _, err := io.WriteString(conn, tt.sent); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			text, err := io.ReadAll(bufio.NewReader(conn))
			lasted := time.Since(began)
			if err != nil || !strings.HasPrefix(string(text), tt.answer) || (tt.answer == "") != (len(text) == 0) {
				t.Errorf("%s: %q, %v", tt.name, text, err)
			}
			if whole := tt.name == "all of it"; !whole && lasted > headWithin+bodyWithin || whole && lasted < traceEnds {
				t.Errorf("%s: cut after %v", tt.name, lasted)
			}
		})
	}
}
