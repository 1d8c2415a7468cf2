package engine_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// U08: bodies that stand still are bounded in time, also where nobody reads them.
func TestBodiesThatStandStillEnd(t *testing.T) {
	const each = 30
	bodies := []string{
		"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx",
		"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nx",
		"POST /trailer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
		"POST /ignored HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nx",
	}
	for name, before := range map[string]string{"first request": "", "second request": firstRequest} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, each*len(bodies))
			srv := &engine.Server{
				Limits: engine.Limits{ReadTimeout: 50 * time.Millisecond},
				HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/read":
						_, err := io.Copy(io.Discard, r.Body)
						read <- err
					case "/trailer": // of whose error net/http makes another
						if _, err := io.Copy(io.Discard, r.Body); err == nil {
							t.Error("a trailer section without an end was taken")
						}
					case "/page":
						page(w, r)
					}
				}),
			}
			addr := listen(t, srv)
			var clients []*rawClient
			for range each {
				for _, body := range bodies {
					c := dialRaw(t, addr)
					c.send(before + body)
					clients = append(clients, c)
				}
			}
			for range 2 * each {
				err := within(t, "the end of a body", read)
				if !errors.Is(err, engine.ErrReadTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("the handler got %v, want ErrReadTimeout", err)
				}
			}
			for _, c := range clients {
				c.wantGone()
			}
			eventually(t, "nobody is left", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
		})
	}
}

// U08: handlers may have deadlines of their own.
func TestHandlersSetDeadlines(t *testing.T) {
	read := make(chan error, 1)
	addr := listen(t, &engine.Server{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Error(err)
		}
		_, err := io.Copy(io.Discard, r.Body)
		read <- err
	})})
	c := dialRaw(t, addr)
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nx")
	if err := within(t, "the end of the body", read); !errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, engine.ErrReadTimeout) {
		t.Errorf("the handler got %v, want its own deadline", err)
	}
}

// U08: a peer that takes nothing of an answer is bounded in time too.
func TestAnswersThatNobodyTakesEnd(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	for name, g := range map[string]entrance{"plain": {}, "TLS": {server: id.Server(), client: id.Client()}} {
		t.Run(name, func(t *testing.T) {
			written := make(chan error, 1)
			srv := &engine.Server{
				Limits: engine.Limits{WriteTimeout: 50 * time.Millisecond},
				HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					var err error
					for piece := pattern(1 << 20); err == nil; {
						_, err = w.Write(piece)
					}
					written <- err
				}),
			}
			c := g.listener("127.0.0.1:0", "")(t, srv)()
			c.send(firstRequest)
			if err := within(t, "the end of the answer", written); !errors.Is(err, engine.ErrWriteTimeout) || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the handler got %v, want ErrWriteTimeout", err)
			}
			eventually(t, "nobody is left", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
		})
	}
}

// Files, and parts of them, arrive as they are, over sockets that can send files and
// over others.
func TestFilesAreServedWhole(t *testing.T) {
	const size = 3<<20 + 17
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, pattern(size), 0o600); err != nil {
		t.Fatal(err)
	}
	id := testkit.NewIdentity(t, "server")
	for name, serve := range map[string]func(*testing.T, *engine.Server) func() *rawClient{
		"tcp":  entrance{}.listener("127.0.0.1:0", ""),
		"unix": entrance{}.listener("unix:", ""),
		"TLS":  entrance{server: id.Server(), client: id.Client()}.listener("127.0.0.1:0", ""),
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, &engine.Server{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				http.ServeFile(w, r, file)
			})})()
			for _, part := range [][2]int{{0, size}, {1, 70_000}, {size - 1, size}, {100_000, 1_000_000}} {
				c.send(fmt.Sprintf("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=%d-%d\r\n\r\n", part[0], part[1]-1))
				resp, body := c.readResponse()
				want := pattern(size)[part[0]:part[1]]
				if resp.StatusCode != http.StatusPartialContent || sha256.Sum256([]byte(body)) != sha256.Sum256(want) {
					t.Errorf("%v: %d, %d bytes that differ", part, resp.StatusCode, len(body))
				}
			}
		})
	}
}

// What a handler copies arrives as it is, whatever it copies from.
func TestAnswersOfAnyReaderAreWhole(t *testing.T) {
	addr := listen(t, &engine.Server{HTTP: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "300000")
		if n, err := io.Copy(w, io.LimitReader(bytes.NewReader(pattern(400_000)), 300_000)); n != 300_000 || err != nil {
			t.Error(n, err)
		}
	})})
	c := dialRaw(t, addr)
	c.send(firstRequest)
	if _, body := c.readResponse(); body != string(pattern(400_000)[:300_000]) {
		t.Errorf("%d bytes that differ", len(body))
	}
}

// R-g: the deadline of a head is that of every head.
func TestSlowSecondHeadEndsAtTheDeadline(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(page)}
	clock := drive(t, srv)
	c := dialRaw(t, listen(t, srv))
	for range 2 {
		c.send(firstRequest)
		c.wantPage()
	}
	c.send("GET /page HTTP/1.1\r\nX: ")
	eventually(t, "it is on a loop", func() bool { return srv.Stats().HTTP == 0 && srv.Stats().Connections == 1 })
	clock.step(handshakeTimeout)
	c.wantRefused(http.StatusRequestTimeout)
}

// Where no next request comes, nothing is said.
func TestKeptAliveConnectionsEnd(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(page)}
	clock := drive(t, srv)
	c := dialRaw(t, listen(t, srv))
	for range 2 {
		c.send(firstRequest)
		c.wantPage()
		eventually(t, "it is on a loop", func() bool { return srv.Stats().HTTP == 0 && srv.Stats().Connections == 1 })
		clock.step(time.Minute) // not long enough
	}
	clock.step(2 * time.Minute)
	c.wantEOF()
}

// A connection that waits for its next request costs no goroutine.
func TestKeptAliveConnectionsWaitOnLoops(t *testing.T) {
	const clients = 20
	srv := &engine.Server{HTTP: http.HandlerFunc(page), Callbacks: echo}
	addr := listen(t, srv)
	var waiting []*rawClient
	for range clients {
		c := dialRaw(t, addr)
		c.send(firstRequest)
		c.wantPage()
		waiting = append(waiting, c)
	}
	eventually(t, "all are on loops", func() bool {
		st := srv.Stats()
		return st.HTTP == 0 && st.Connections == clients && srv.Conns() == clients
	})
	for i, c := range waiting {
		if i%2 == 0 {
			c.send(firstRequest)
			c.wantPage()
		} else {
			c.send(testkit.UpgradeHead(addr))
			c.wantUpgraded()
			c.exchange("as the second request")
		}
	}
}

// L09: connections that wait for their next request do not hold Shutdown.
func TestShutdownEndsKeptAliveConnections(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(page)}
	addr := listen(t, srv)
	lingers, waits := dialRaw(t, addr), dialRaw(t, addr)
	waits.send(firstRequest)
	waits.wantPage()
	eventually(t, "it is on a loop", func() bool { return srv.Stats().HTTP == 0 })
	lingers.send(firstRequest)
	lingers.wantPage()
	if err := shutdown(srv); err != nil {
		t.Error("Shutdown:", err)
	}
	lingers.wantGone()
	waits.wantGone()
	if n := srv.Conns(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}
