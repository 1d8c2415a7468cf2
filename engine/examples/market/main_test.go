package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/examples/internal/leak"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// start returns a feed that ends with the test, its host:port, and a context that bounds
// what hangs.
func start(t *testing.T, symbols map[string][]string) (m *markets, addr string, ctx context.Context) {
	t.Helper()
	m = newMarkets(symbols)
	ln, err := m.srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := m.srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return m, ln.String(), ctx
}

type client struct {
	t   *testing.T
	ctx context.Context
	*pull.Conn
}

func dial(t *testing.T, ctx context.Context, addr string, opt *engine.DialOptions) client {
	t.Helper()
	c, err := pull.Dial(ctx, "ws://"+addr+"/feed", opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); <-c.WebSocket().Done() })
	return client{t, ctx, c}
}

func (c client) order(text string) {
	c.t.Helper()
	if err := c.Write(c.ctx, engine.Text, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// heard is a message: a book, or an answer.
type heard struct {
	book
	Subscribed, Unsubscribed, Error string
}

func (c client) read() heard {
	c.t.Helper()
	h, err := pull.ReadJSON[heard](c.ctx, c.Conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return h
}

// expect reads messages that are books, such as "gold 2", or answers.
func (c client) expect(want ...string) {
	c.t.Helper()
	for _, want := range want {
		h := c.read()
		got := h.Subscribed + h.Unsubscribed + h.Error
		if h.Symbol != "" {
			got = fmt.Sprint(h.Symbol, " ", h.Bids[0][1])
		}
		if got != want {
			c.t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

// sized returns a book of one bid, whose size tells it from others.
func sized(symbol string, size int) book {
	return book{Symbol: symbol, Bids: [][2]float64{{1, float64(size)}}}
}

func publish(t *testing.T, m *markets, market string, books ...book) {
	t.Helper()
	for _, b := range books {
		if err := m.publish(market, b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSnapshotComesFirst(t *testing.T) {
	m, addr, ctx := start(t, symbols)
	publish(t, m, "metals", sized("gold", 1), sized("silver", 1), sized("gold", 2))
	publish(t, m, "energy", sized("oil", 1))
	c := dial(t, ctx, addr, nil)
	c.order(`{"subscribe":"metals"}`)
	c.expect("silver 1", "gold 2", "metals")
	publish(t, m, "energy", sized("oil", 2))
	publish(t, m, "metals", sized("gold", 3))
	c.expect("gold 3")
}

func TestMarketsAreLeft(t *testing.T) {
	m, addr, ctx := start(t, symbols)
	c := dial(t, ctx, addr, nil)
	c.order(`{"subscribe":"metals"}`)
	c.order(`{"subscribe":"energy"}`)
	c.order(`{"unsubscribe":"metals"}`)
	c.expect("metals", "energy", "metals")
	publish(t, m, "metals", sized("gold", 1))
	publish(t, m, "energy", sized("oil", 1))
	c.expect("oil 1")
}

func TestOrdersThatMakeNoSense(t *testing.T) {
	_, addr, ctx := start(t, symbols)
	c := dial(t, ctx, addr, nil)
	for _, order := range []string{`{"subscribe":"tulips"}`, `{}`, `buy`, `{"unsubscribe":7}`} {
		c.order(order)
		if h := c.read(); h.Error == "" {
			t.Errorf("%s: no error but %+v", order, h)
		}
	}
}

// A client that falls behind misses books, but in the end it has the last one of each
// symbol. There are more symbols than Slow.Limit has room for. Another client reads
// all, so that only the slow one is behind, and not its loop.
func TestSlowClientGetsLastBooks(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
	}
	m, addr, ctx := start(t, map[string][]string{"many": many})
	slow, fast := dial(t, ctx, addr, nil), dial(t, ctx, addr, nil)
	for _, c := range []client{slow, fast} {
		c.order(`{"subscribe":"many"}`)
		c.expect("many")
	}
	slow.WebSocket().PauseReading()
	size := 0
	for st := m.srv.Stats(); st.Conflated == 0 || st.Dropped == 0; st = m.srv.Stats() {
		size++
		for _, symbol := range many {
			b := randomBook(symbol, 100)
			b.Bids[0][1] = float64(size)
			publish(t, m, "many", b)
			fast.read()
		}
	}
	slow.WebSocket().ResumeReading()
	last := make(map[string]bool)
	for len(last) < len(many) {
		if h := slow.read(); int(h.Bids[0][1]) == size {
			last[h.Symbol] = true
		}
	}
}

func TestBooksAreCompressedOnceForAll(t *testing.T) {
	m, addr, ctx := start(t, symbols)
	opt := &engine.DialOptions{Compression: &engine.Compression{}}
	clients := []client{dial(t, ctx, addr, opt), dial(t, ctx, addr, opt)}
	for _, c := range clients {
		c.order(`{"subscribe":"metals"}`)
		c.expect("metals")
	}
	sent := randomBook("gold", 100)
	publish(t, m, "metals", sent)
	for _, c := range clients {
		got, want := c.read().book, sent
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			t.Errorf("%s, want %s", g, w)
		}
	}
	if st := m.srv.Stats(); st.Compressions != 1 {
		t.Error(st.Compressions, "compressions")
	}
}

func TestMetrics(t *testing.T) {
	m, addr, ctx := start(t, symbols)
	c := dial(t, ctx, addr, nil)
	c.order(`{"subscribe":"metals"}`)
	c.expect("metals")
	publish(t, m, "metals", sized("gold", 1))
	c.expect("gold 1")
	expectMetrics(t, ctx, addr, `market_subscribers{market="metals"} 1`, `market_subscribers{market="energy"} 0`)
	if err := c.Close(ctx, engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	expectMetrics(t, ctx, addr, `market_ended_total{cause="normal"} 1`, `market_subscribers{market="metals"} 0`,
		"# TYPE market_connections gauge", "market_messages_sent_total 2", "market_messages_conflated_total 0")
}

// expectMetrics waits until the metrics have all lines.
func expectMetrics(t *testing.T, ctx context.Context, addr string, lines ...string) {
	t.Helper()
	var body string
	missing := func(line string) bool { return !strings.Contains(body, line+"\n") }
	for ; ctx.Err() == nil; runtime.Gosched() {
		resp, err := http.Get("http://" + addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if body = string(all); err == nil && !slices.ContainsFunc(lines, missing) {
			return
		}
	}
	t.Errorf("want %q in:\n%s", lines, body)
}

func TestPricesWalk(t *testing.T) {
	m, addr, ctx := start(t, symbols)
	c := dial(t, ctx, addr, nil)
	c.order(`{"subscribe":"metals"}`)
	c.expect("metals")
	trading, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		m.trade(trading, time.Millisecond)
		close(done)
	}()
	seen := make(map[string]bool)
	for len(seen) < len(symbols["metals"]) {
		h := c.read()
		if len(h.Bids) != depth || len(h.Asks) != depth || h.Bids[0][0] >= h.Asks[0][0] {
			t.Error("no book:", h)
		}
		seen[h.Symbol] = true
	}
	stop()
	<-done
}
