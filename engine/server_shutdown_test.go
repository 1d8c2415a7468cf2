package engine_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// shutdown ends srv in order within patience.
func shutdown(srv *engine.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return srv.Shutdown(ctx)
}

// finishClosing answers a close frame and ends the transport.
func (c *rawClient) finishClosing() {
	c.t.Helper()
	c.send(testkit.Masked(codec.Close, ""))
	c.wantEOF()
	_ = c.Close()
}

func TestListenAndServeReturnsErrServerClosed(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{
		"Shutdown": shutdown,
		"Close":    (*engine.Server).Close,
	} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{Addr: "127.0.0.1:0"}
			serving, taken := make(chan error, 1), make(chan error, 1)
			go func() { serving <- srv.ListenAndServe() }()
			nl, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go func() { taken <- srv.Serve(nl) }()
			c := openRaw(t, nl.Addr().String()) // so Serve is at work
			c.send(testkit.Masked(codec.Close, ""))
			c.wantClose(engine.StatusNoStatusRcvd)
			_ = c.Close()
			if err := end(srv); err != nil {
				t.Error("the end:", err)
			}
			if err := within(t, "the end of Serve", taken); !errors.Is(err, engine.ErrServerClosed) {
				t.Errorf("Serve: %v, want ErrServerClosed", err)
			}
			if err := within(t, "the end of ListenAndServe", serving); !errors.Is(err, engine.ErrServerClosed) {
				t.Errorf("ListenAndServe: %v, want ErrServerClosed", err)
			}
			within(t, "Done", srv.Done())
			if _, err := srv.Listen("127.0.0.1:0"); !errors.Is(err, engine.ErrServerClosed) {
				t.Errorf("Listen after the end: %v, want ErrServerClosed", err)
			}
		})
	}
}

func TestShutdownDeliversWhatIsQueuedAndSays1001(t *testing.T) {
	const clients, messages = 20, 50
	body := string(pattern(4 << 10))
	var greeted atomic.Int32
	srv := &engine.Server{
		Loops:  2,
		Limits: engine.Limits{CloseTimeout: patience}, // the clients answer one after the other
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			for i := range messages {
				if err := ws.SendText(fmt.Sprint(i, " ", body)); err != nil {
					t.Errorf("message %d: %v", i, err)
				}
			}
			greeted.Add(1)
		},
	}
	addr := listen(t, srv)
	conns := make([]*rawClient, clients)
	for i := range conns {
		conns[i] = openRaw(t, addr)
	}
	eventually(t, "every client has its messages queued", func() bool { return greeted.Load() == clients })

	ended := make(chan error, 1)
	go func() { ended <- shutdown(srv) }()
	for _, c := range conns {
		for i := range messages {
			c.wantMessage(engine.Text, fmt.Sprint(i, " ", body))
		}
		if code, _ := c.readClose(); code != engine.StatusGoingAway {
			t.Errorf("close code %d, want 1001", uint16(code))
		}
		c.finishClosing()
	}
	if err := within(t, "the end of Shutdown", ended); err != nil {
		t.Error("Shutdown:", err)
	}
	if n := srv.Conns(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

// L03
func TestShutdownIsNotHeldByAStuckClient(t *testing.T) {
	closed := make(chan error, 2)
	srv := &engine.Server{
		Limits: engine.Limits{CloseTimeout: time.Hour}, // only the deadline of Shutdown counts
		Callbacks: engine.Callbacks{OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) {
			closed <- ws.Err()
		}},
	}
	addr := listen(t, srv)
	stuck, good := openRaw(t, addr), openRaw(t, addr)
	var answering sync.WaitGroup
	answering.Go(func() {
		good.readClose()
		good.finishClosing()
	})
	defer answering.Wait()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	if err := within(t, "the end of the good client", closed); err != nil {
		t.Errorf("the good client ended with %v", err)
	}
	eventually(t, "the good client is counted out", func() bool { return srv.Conns() == 1 }) // after OnClose
	select {
	case err := <-ended:
		t.Fatalf("Shutdown did not wait for the stuck client: %v", err)
	default:
	}
	late := errors.New("time is up")
	cancel(late)
	if err := within(t, "the end of Shutdown", ended); !errors.Is(err, late) || !strings.Contains(err.Error(), "dropped 1 connection:") {
		t.Errorf("Shutdown: %v, want %v, and one connection that was dropped", err, late)
	}
	if err := within(t, "the end of the stuck client", closed); err == nil {
		t.Error("the stuck client ended without an error")
	}
	within(t, "Done", srv.Done())
	stuck.wantGone()
}

func TestShutdownIsNotHeldByACallback(t *testing.T) {
	entered, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	srv := &engine.Server{
		Loops: 2,
		Callbacks: engine.Callbacks{OnText: func(*engine.WebSocket, []byte) {
			close(entered)
			<-blocked
		}},
	}
	addr := listen(t, srv)
	c := openRaw(t, addr)
	c.send(testkit.Masked(engine.Text, "block"))
	within(t, "the callback", entered)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(ctx) }()
	if err := within(t, "the end of Shutdown", ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled among it", err)
	}
	select {
	case <-srv.Done():
		t.Error("Done is closed while a callback runs")
	default:
	}
	release()
	within(t, "Done", srv.Done())
}

// The second that callbacks are given begins with the end of the context.
func TestShutdownWaitsForACallbackUntilItsDeadline(t *testing.T) {
	entered, blocked := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(blocked) })
	defer release()
	srv := &engine.Server{
		Dispatch: &engine.Dispatch{}, // so that the loop counts the connection out meanwhile
		Callbacks: engine.Callbacks{OnClose: func(*engine.WebSocket, engine.StatusCode, string) {
			close(entered)
			<-blocked
		}},
	}
	c := openRaw(t, listen(t, srv))
	_ = c.Close()
	within(t, "OnClose", entered)
	ended := make(chan error, 1)
	go func() { ended <- shutdown(srv) }()
	select {
	case err := <-ended:
		t.Fatal("Shutdown did not wait for OnClose:", err)
	case <-time.After(1200 * time.Millisecond): // more than the second
	}
	release()
	if err := within(t, "the end of Shutdown", ended); err != nil {
		t.Error("Shutdown:", err)
	}
}

func TestShutdownAndCloseMayMeet(t *testing.T) {
	srv := &engine.Server{Limits: engine.Limits{CloseTimeout: time.Hour}}
	addr := listen(t, srv)
	c := openRaw(t, addr)
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() { ended <- srv.Shutdown(context.Background()) }()
	}
	if code, _ := c.readClose(); code != engine.StatusGoingAway { // and both wait for the answer
		t.Errorf("close code %d, want 1001", uint16(code))
	}
	if err := srv.Close(); err != nil {
		t.Error("Close:", err)
	}
	for range cap(ended) {
		if err := within(t, "the end of a Shutdown", ended); err != nil {
			t.Error("Shutdown:", err)
		}
	}
	for range 2 {
		if err := shutdown(srv); err != nil {
			t.Error("Shutdown after Close:", err)
		}
		if err := srv.Close(); err != nil {
			t.Error("Close after Shutdown:", err)
		}
	}
}

func TestShutdownOfAServerThatWasNeverStarted(t *testing.T) {
	var shut, closed engine.Server
	if err := shutdown(&shut); err != nil {
		t.Error("Shutdown:", err)
	}
	if err := closed.Close(); err != nil {
		t.Error("Close:", err)
	}
	within(t, "Done", shut.Done())
	within(t, "Done", closed.Done())
}

func TestShutdownWhileConnectionsAreHalfOpen(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	served, answer := make(chan struct{}), make(chan struct{})
	srv := &engine.Server{
		Loops:           2,
		BlockingUpgrade: true,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			close(asked)
			<-release
			return nil, nil
		},
		OnUpgrade: func(*engine.WebSocket, *engine.Request) { t.Error("upgraded after Shutdown") },
		HTTP: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(served)
			<-answer
			_, _ = io.WriteString(w, "late")
		}),
	}
	addr := listen(t, srv)
	silent, half, asking, web := dialRaw(t, addr), dialRaw(t, addr), dialRaw(t, addr), dialRaw(t, addr)
	head := testkit.UpgradeHead(addr)
	half.send(head[:len(head)/2])
	asking.send(head)
	web.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	within(t, "ShouldUpgrade", asked)
	within(t, "the request", served)

	ended := make(chan error, 1)
	go func() { ended <- shutdown(srv) }()
	silent.wantGone()
	half.wantGone()
	asking.wantGone()
	close(answer) // a request that net/http has begun is finished
	resp, body := web.readResponse()
	if resp.StatusCode != http.StatusOK || body != "late" {
		t.Errorf("the request under way got %d %q", resp.StatusCode, body)
	}
	for _, c := range []*rawClient{silent, half, asking, web} {
		_ = c.Close() // or the server lingers
	}
	close(release) // Shutdown waits for ShouldUpgrade, too
	if err := within(t, "the end of Shutdown", ended); err != nil {
		t.Error("Shutdown:", err)
	}
}

// A request that never ends must not outlive the deadline either.
func TestShutdownDropsHTTPRequestsAfterItsDeadline(t *testing.T) {
	served := make(chan context.Context, 1)
	finished := make(chan struct{})
	srv := &engine.Server{HTTP: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		served <- r.Context()
		<-r.Context().Done() // as its connection goes
		close(finished)
	})}
	addr := listen(t, srv)
	web := dialRaw(t, addr)
	web.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	within(t, "the request", served)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := srv.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v, want context.Canceled", err)
	}
	within(t, "the end of the request", finished)
	web.wantGone()
}

// slowConn is a connection of net/http that takes its time to be handed over.
type slowConn struct {
	*net.TCPConn
	asked   chan struct{}
	closing <-chan struct{}
}

func (c *slowConn) SyscallConn() (syscall.RawConn, error) {
	close(c.asked)
	select {
	case <-c.closing: // Shutdown has been through all connections without this one
	case <-time.After(100 * time.Millisecond): // Shutdown waits for this one
	}
	return c.TCPConn.SyscallConn()
}

type slowWriter struct {
	http.ResponseWriter
	conn *slowConn
}

func (w slowWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil {
		w.conn.TCPConn = nc.(*net.TCPConn)
	}
	return w.conn, rw, err
}

// L09: an upgrade that net/http hands over while Shutdown closes all
// must not be left out, or Shutdown waits for it for ever.
func TestShutdownClosesWhatNetHTTPHandsOver(t *testing.T) {
	srv := &engine.Server{}
	addr := listen(t, srv)
	closing := make(chan struct{})
	slow := &slowConn{asked: make(chan struct{}), closing: closing}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.ServeHTTP(slowWriter{w, slow}, r)
	}))
	defer front.Close()
	direct, late := openRaw(t, addr), dialRaw(t, strings.TrimPrefix(front.URL, "http://"))
	late.send(testkit.UpgradeHead(late.RemoteAddr().String()))
	within(t, "the hand-over", slow.asked)
	ended := make(chan error, 1)
	go func() { ended <- shutdown(srv) }()
	answer := func(c *rawClient) {
		if code, _ := c.readClose(); code != engine.StatusGoingAway {
			t.Errorf("close code %d, want 1001", uint16(code))
		}
		c.finishClosing()
	}
	answer(direct)
	close(closing)
	late.wantUpgraded()
	answer(late)
	if err := within(t, "the end of Shutdown", ended); err != nil {
		t.Error("Shutdown:", err)
	}
}

// The same, as it comes.
func TestShutdownMeetsUpgradesOfNetHTTP(t *testing.T) {
	for range 10 {
		srv := &engine.Server{Loops: 2}
		listen(t, srv)
		front := httptest.NewServer(srv)
		addr := strings.TrimPrefix(front.URL, "http://")
		var clients sync.WaitGroup
		for range 16 {
			clients.Go(func() {
				ws, err := engine.Dial(context.Background(), "ws://"+addr, nil)
				if err != nil {
					return // refused: it came too late
				}
				<-ws.Done()
			})
		}
		eventually(t, "a client is connected", func() bool { return srv.Conns() > 0 })
		if err := shutdown(srv); err != nil {
			t.Fatal("Shutdown:", err)
		}
		clients.Wait()
		front.Close()
	}
}

func TestServeHTTPAfterCloseAnswers503(t *testing.T) {
	srv := &engine.Server{}
	listen(t, srv)
	front := httptest.NewServer(srv)
	defer front.Close()
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(front.URL, "http://")
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	c.wantRefused(http.StatusServiceUnavailable)
	if n := srv.Conns(); n != 0 {
		t.Errorf("%d connections are counted", n)
	}
}

// Every peer gets the code and reason of ShutdownWith.
func TestShutdownWithTellsItsCode(t *testing.T) {
	srv := new(engine.Server)
	c := openRaw(t, listen(t, srv))
	if err := srv.ShutdownWith(t.Context(), engine.StatusAbnormalClosure, ""); err != engine.ErrInvalidStatus || srv.Conns() != 1 {
		t.Fatalf("with 1006: %v, and %d connections", err, srv.Conns())
	}
	done := make(chan error, 1)
	go func() { done <- srv.ShutdownWith(t.Context(), engine.StatusServiceRestart, "back in a minute") }()
	c.wantFrame(codec.Close, true, closePayload(1012, "back in a minute"))
	c.send(frame(0x88, closePayload(1012, "")))
	_ = c.Close()
	if err := within(t, "the end of ShutdownWith", done); err != nil {
		t.Error(err)
	}
}
