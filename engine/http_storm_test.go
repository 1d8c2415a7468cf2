package engine_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// R-g: large bodies arrive whole, in any coding, with the next request behind them.
func TestLargeBodiesArriveWhole(t *testing.T) {
	const size = 2<<20 + 11
	sum := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(w, "%d %x %v", len(body), sha256.Sum256(body), err)
	}
	body := pattern(size)
	want := fmt.Sprintf("%d %x %v", size, sha256.Sum256(body), nil)
	id := testkit.NewIdentity(t, "server")
	for name, g := range map[string]entrance{"plain": {}, "TLS": {server: id.Server(), client: id.Client()}} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			var all bytes.Buffer
			for range 2 {
				fmt.Fprintf(&all, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", size, body)
				all.WriteString("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				for rest := body; len(rest) > 0; {
					n := min(1+rng.IntN(50_000), len(rest))
					fmt.Fprintf(&all, "%x;x=y\r\n%s\r\n", n, rest[:n])
					rest = rest[n:]
				}
				all.WriteString("0\r\nX-Sum: 1\r\n\r\n")
			}
			c := g.listener("127.0.0.1:0", "")(t, &engine.Server{HTTP: http.HandlerFunc(sum)})()
			var sending sync.WaitGroup
			sending.Go(func() {
				for all.Len() > 0 { // in pieces of any size
					if _, err := c.Conn.Write(all.Next(1 + rng.IntN(100_000))); err != nil {
						t.Error(err)
						return
					}
				}
			})
			for range 4 {
				if _, got := c.readResponse(); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
			sending.Wait()
		})
	}
}

// L09: the end of the server meets connections on their way between loops and
// net/http, and leaves none of them.
func TestEndMeetsRequestsOfAllKinds(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{
		"Shutdown": shutdown,
		"Close":    (*engine.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			for range 4 {
				srv := &engine.Server{Loops: 2, HTTP: http.HandlerFunc(page)}
				addr := listen(t, srv)
				var clients sync.WaitGroup
				for i := range 16 {
					clients.Go(func() { askUntilTheEnd(t, addr, i) })
				}
				eventually(t, "they are served", func() bool { return srv.Stats().BytesIn > 5_000 })
				if err := end(srv); err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				clients.Wait()
				eventually(t, "nothing is counted", func() bool { return srv.Conns() == 0 && srv.Stats().HTTP == 0 })
			}
		})
	}
}

// askUntilTheEnd sends requests, in parts some of them, until the server has gone.
func askUntilTheEnd(t *testing.T, addr string, seed int) {
	rng := rand.New(rand.NewPCG(1, uint64(seed)))
	for {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		c := newRawClient(t, nc)
		for range 1 + rng.IntN(20) {
			request := firstRequest
			if rng.IntN(3) == 0 {
				request = "POST /page HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
			}
			cut := len(request)
			if rng.IntN(2) == 0 {
				cut = rng.IntN(len(request))
			}
			_, err := io.WriteString(nc, request[:cut])
			if err == nil {
				_, err = io.WriteString(nc, request[cut:])
			}
			if err != nil {
				break
			}
			resp, err := http.ReadResponse(c.br, nil)
			if err != nil {
				break
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				break
			}
			if resp.StatusCode != http.StatusOK {
				t.Errorf("status %d", resp.StatusCode)
			}
		}
		_ = nc.Close()
	}
}
