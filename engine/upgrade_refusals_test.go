package engine_test

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// eachWayToAsk runs a test with each way by which ShouldUpgrade is asked.
func eachWayToAsk(t *testing.T, test func(t *testing.T, serve func(*engine.Server) string)) {
	t.Run("on the loop", func(t *testing.T) {
		test(t, func(srv *engine.Server) string { return listen(t, srv) })
	})
	t.Run("on the pool", func(t *testing.T) {
		test(t, func(srv *engine.Server) string {
			srv.BlockingUpgrade = true
			return listen(t, srv)
		})
	})
	t.Run("by net/http", func(t *testing.T) {
		test(t, func(srv *engine.Server) string { return mount(t, srv) })
	})
}

// F-h: an error of ShouldUpgrade that is no Reject is logged, since the peer is not
// told; one that is, is not.
func TestErrorsOfShouldUpgradeAreLogged(t *testing.T) {
	eachWayToAsk(t, func(t *testing.T, serve func(*engine.Server) string) {
		log, book := newLog()
		srv := &engine.Server{Logger: log, ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			if req.Header("X-Reject") != "" {
				return nil, engine.Reject(http.StatusForbidden, "not here")
			}
			return nil, errors.New("the database is down")
		}}
		addr := serve(srv)
		c := dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr, "X-Reject: 1"))
		c.wantRefused(http.StatusForbidden)
		c = dialRaw(t, addr)
		c.send(testkit.UpgradeHead(addr))
		c.wantRefused(http.StatusInternalServerError)
		eventually(t, "the error is logged", func() bool {
			return book.count("ShouldUpgrade") == 1 && book.level("ShouldUpgrade") == slog.LevelError &&
				strings.Contains(book.attr("ShouldUpgrade", "err"), "the database is down") &&
				strings.Contains(book.attr("ShouldUpgrade", "peer"), "127.0.0.1:")
		})
		want := map[int]uint64{http.StatusForbidden: 1, http.StatusInternalServerError: 1}
		if got := srv.Stats().Refused; !maps.Equal(got, want) {
			t.Errorf("refused %v, want %v", got, want)
		}
	})
}

// F-h: a status that cannot be sent is a mistake of the application, and 500.
func TestRejectWithAStatusThatIsNoneIs500(t *testing.T) {
	eachWayToAsk(t, func(t *testing.T, serve func(*engine.Server) string) {
		for _, status := range []int{0, 101, 200, 600} {
			log, book := newLog()
			srv := &engine.Server{Logger: log, ShouldUpgrade: func(*engine.Request) (http.Header, error) {
				return nil, engine.Reject(status, "secret")
			}}
			addr := serve(srv)
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr))
			if _, body := c.wantRefused(http.StatusInternalServerError); strings.Contains(body, "secret") {
				t.Errorf("%d: the peer is told %q", status, body)
			}
			eventually(t, "the error is logged", func() bool { return book.count("ShouldUpgrade") == 1 })
		}
	})
}

// F-h: refusals are counted by status, and told with their cause at level Debug.
func TestRefusalsAreCountedAndTold(t *testing.T) {
	eachWayToAsk(t, func(t *testing.T, serve func(*engine.Server) string) {
		log, book := newLog()
		srv := &engine.Server{Logger: log, ShouldUpgrade: func(*engine.Request) (http.Header, error) { return nil, nil }}
		addr := serve(srv)
		want := map[int]uint64{}
		for i, refused := range []struct {
			request string
			status  int
		}{
			{request(addr, sampleKey, ""), http.StatusBadRequest},
			{request(addr, sampleKey, sampleKey+sampleKey), http.StatusBadRequest},
			{testkit.UpgradeHead(addr, "Origin: https://evil.example"), http.StatusForbidden},
			{request(addr, "GET", "POST"), http.StatusMethodNotAllowed},
			{request(addr, "Version: 13", "Version: 99"), http.StatusUpgradeRequired},
			{strings.Replace(testkit.UpgradeHead(addr), "Upgrade: websocket\r\n", "", 1), http.StatusUpgradeRequired},
		} {
			c := dialRaw(t, addr)
			c.send(refused.request)
			c.wantRefused(refused.status)
			want[refused.status]++
			if i == 0 {
				const line = "refused a request"
				eventually(t, "the refusal is told", func() bool {
					return book.count(line) == 1 && book.level(line) == slog.LevelDebug && book.attr(line, "status") == "400" &&
						strings.Contains(book.attr(line, "err"), "Sec-WebSocket-Key") && strings.Contains(book.attr(line, "peer"), "127.0.0.1:")
				})
			}
		}
		openRaw(t, addr) // which is none
		if got := srv.Stats().Refused; !maps.Equal(got, want) {
			t.Errorf("refused %v, want %v", got, want)
		}
	})
}

// F-h: also what never comes to a whole head, and what is over the limit.
func TestRefusalsBeforeTheHeadAreCounted(t *testing.T) {
	srv := &engine.Server{HTTP: http.HandlerFunc(page), Limits: engine.Limits{MaxConnections: 1}}
	clock := drive(t, srv)
	addr := listen(t, srv)
	first := dialRaw(t, addr)
	eventually(t, "it is accepted", func() bool { return srv.Conns() == 1 })
	clock.step(handshakeTimeout)
	first.wantRefused(http.StatusRequestTimeout)
	_ = first.Close()
	eventually(t, "its place is free", func() bool { return srv.Conns() == 0 })
	c := dialRaw(t, addr)
	c.send(firstRequest) // net/http has it
	c.wantPage()
	dialRaw(t, addr).wantRefused(http.StatusServiceUnavailable)
	c.send("GET /page HTTP/1.1\nHost: a\n\n")
	c.wantRefused(http.StatusBadRequest)
	want := map[int]uint64{http.StatusRequestTimeout: 1, http.StatusServiceUnavailable: 1, http.StatusBadRequest: 1}
	if got := srv.Stats().Refused; !maps.Equal(got, want) {
		t.Errorf("refused %v, want %v", got, want)
	}
}

// F-h: a hidden Hijacker is told with its cause.
func TestHiddenHijackerIsTold(t *testing.T) {
	log, book := newLog()
	srv := &engine.Server{Logger: log}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(noHijack{w}, r)
	}))
	t.Cleanup(func() {
		web.Close()
		_ = srv.Close()
	})
	addr := strings.TrimPrefix(web.URL, "http://")
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	c.wantRefused(http.StatusNotImplemented)
	eventually(t, "the refusal is told", func() bool {
		return book.attr("refused a request", "status") == "501" &&
			strings.Contains(book.attr("refused a request", "err"), http.ErrNotSupported.Error())
	})
	if got := srv.Stats().Refused; got[http.StatusNotImplemented] != 1 {
		t.Errorf("refused %v", got)
	}
}

// F-h: whoever can connect cannot fill the log.
func TestRefusalsAreLoggedWithALimit(t *testing.T) {
	const clients = 200
	eachWayToAsk(t, func(t *testing.T, serve func(*engine.Server) string) {
		log, book := newLog()
		srv := &engine.Server{Logger: log, ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			return nil, errors.New("down")
		}}
		addr := serve(srv)
		from := time.Now()
		for range clients {
			c := dialRaw(t, addr)
			c.send(testkit.UpgradeHead(addr))
			c.wantRefused(http.StatusInternalServerError)
			_ = c.Close()
		}
		most := 1 + int(time.Since(from)/time.Second) // lines of a kind
		for _, line := range []string{"ShouldUpgrade", "refused a request"} {
			if n := book.count(line); n < 1 || n > most {
				t.Errorf("%q was logged %d times, want at most %d", line, n, most)
			}
		}
		if got := srv.Stats().Refused[http.StatusInternalServerError]; got != clients {
			t.Errorf("%d are counted, want %d", got, clients)
		}
	})
}

// R-j: nor can a handler that panics.
func TestPanicsOfTheHTTPHandlerAreLoggedWithALimit(t *testing.T) {
	log, book := newLog()
	addr := listen(t, &engine.Server{Logger: log, HTTP: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic("oops")
	})})
	from := time.Now()
	for range 50 {
		c := dialRaw(t, addr)
		c.send(firstRequest)
		c.wantGone()
	}
	most := 1 + int(time.Since(from)/time.Second)
	if n := book.count("net/http"); n < 1 || n > most {
		t.Errorf("logged %d times, want at most %d", n, most)
	}
}
