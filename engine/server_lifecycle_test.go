package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/engine/internal/testkit/leaks"
	"github.com/fanloop-go/fanloop/loop"
)

// currentLoop names the loop that runs the caller: a loop is one goroutine.
func currentLoop() string {
	var stack [64]byte
	line := stack[:runtime.Stack(stack[:], false)]
	return string(bytes.Fields(line)[1]) // "goroutine 7 [running]:"
}

// loopNames are the loops on which connections were upgraded.
type loopNames struct {
	mu    sync.Mutex
	names map[string]int
}

func (l *loopNames) note() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.names == nil {
		l.names = make(map[string]int)
	}
	l.names[currentLoop()]++
}

func (l *loopNames) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.names)
}

func TestServeSpreadsConnectionsOverAllLoops(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			address := "127.0.0.1:0"
			if network == "unix" {
				address = t.TempDir() + "/socket"
			}
			nl, err := net.Listen(network, address)
			if err != nil {
				t.Fatal(err)
			}
			var loops loopNames
			srv := &engine.Server{
				Loops:     3,
				Callbacks: echo,
				OnUpgrade: func(*engine.WebSocket, *engine.Request) { loops.note() },
			}
			served := make(chan error, 1)
			go func() { served <- srv.Serve(nl) }()
			for i := range 9 {
				nc, err := net.Dial(network, nl.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				c := newRawClient(t, nc)
				c.send(testkit.UpgradeHead("localhost"))
				c.wantUpgraded()
				c.send(testkit.Masked(engine.Text, fmt.Sprint("hello ", i)))
				c.wantMessage(engine.Text, fmt.Sprint("hello ", i))
			}
			if n := loops.count(); n != 3 {
				t.Errorf("%d loops own connections, want 3", n)
			}
			if err := srv.Close(); err != nil {
				t.Error(err)
			}
			if err := within(t, "the end of Serve", served); !errors.Is(err, engine.ErrServerClosed) {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}

// unusable is a listener without a descriptor.
type unusable struct {
	net.Listener
	closed bool
}

func (u *unusable) Close() error { u.closed = true; return u.Listener.Close() }

func TestServeClosesItsListenerAlsoWhenItFails(t *testing.T) {
	hidden := func() *unusable {
		nl, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return &unusable{Listener: nl}
	}
	srv := &engine.Server{}
	nl := hidden()
	if err := srv.Serve(nl); err == nil || !nl.closed {
		t.Errorf("a listener without a descriptor: error %v, closed %v", err, nl.closed)
	}
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	nl = hidden()
	if err := srv.Serve(nl); !errors.Is(err, engine.ErrServerClosed) || !nl.closed {
		t.Errorf("after Close: error %v, closed %v", err, nl.closed)
	}
}

func TestListenTwiceServesBothPorts(t *testing.T) {
	srv := &engine.Server{Callbacks: echo, Loops: 2}
	first, second := listen(t, srv), listen(t, srv)
	if first == second {
		t.Fatalf("both are %s", first)
	}
	for _, addr := range []string{first, second} {
		c := openRaw(t, addr)
		c.send(testkit.Masked(engine.Text, addr))
		c.wantMessage(engine.Text, addr)
	}
}

// SO_REUSEPORT must not hide that someone else has the port.
func TestListenOnAUsedPortIsAnError(t *testing.T) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	for _, loops := range []int{1, 2} {
		other := &engine.Server{Loops: loops}
		used := listen(t, other)
		srv := &engine.Server{Loops: loops}
		mine := listen(t, srv)
		for who, addr := range map[string]string{"net": nl.Addr().String(), "another server": used, "itself": mine} {
			if got, err := srv.Listen(addr); err == nil {
				t.Errorf("loops=%d: listening on the port of %s: no error, but %v", loops, who, got)
			}
		}
		serving := &engine.Server{Addr: used, Loops: loops}
		if err := serving.ListenAndServe(); err == nil || errors.Is(err, engine.ErrServerClosed) {
			t.Errorf("loops=%d: ListenAndServe: %v", loops, err)
		}
		if err := serving.Close(); err != nil {
			t.Error(err)
		}
		c := openRaw(t, mine) // and the failures broke nothing
		c.send(testkit.Masked(engine.Text, "still here") + testkit.Masked(codec.Close, ""))
		c.wantClose(engine.StatusNoStatusRcvd)
	}
}

// L05
func TestStartAndStopLeaveNothingBehind(t *testing.T) {
	cycle := func(i int) {
		srv := &engine.Server{Callbacks: echo, Loops: 1 + i%3}
		addr, err := srv.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan string, 1)
		opt := &engine.DialOptions{Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
		}}
		ws, err := engine.Dial(context.Background(), "ws://"+addr.String(), opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := ws.SendText("hello"); err != nil {
			t.Fatal(err)
		}
		within(t, "the echo", got)
		end := srv.Close
		if i%2 == 0 {
			end = func() error { return shutdown(srv) }
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		within(t, "the end of the client", ws.Done())
	}
	cycle(0) // what is made once for all
	settle := func() (goroutines, descriptors int) { return runtime.NumGoroutine(), leaks.OpenDescriptors() }
	var goroutines, descriptors int
	eventually(t, "a baseline", func() bool {
		g, d := settle()
		same := g == goroutines && d == descriptors
		goroutines, descriptors = g, d
		return same
	})
	for i := range 200 {
		cycle(i)
	}
	eventually(t, "goroutines and descriptors are at the baseline", func() bool {
		g, d := settle()
		return g <= goroutines && d <= descriptors
	})
}

// L07
func TestNothingHangsDuringAndAfterTheEnd(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{
		"Close": (*engine.Server).Close,
		"Shutdown": func(srv *engine.Server) error {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			if err := srv.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := &engine.Server{Callbacks: echo, Loops: 2, Subprotocols: []string{ours}}
			addr := listen(t, srv)
			group, err := loop.Start(loop.Config{Loops: 2})
			if err != nil {
				t.Fatal(err)
			}
			ended, stopped := make(chan struct{}), make(chan struct{})
			var busy, running sync.WaitGroup
			for i := range 8 {
				running.Add(1)
				busy.Go(func() { useUntilRefused(t, addr, group, i, ended, stopped, &running) })
			}
			running.Wait()
			if err := end(srv); err != nil {
				t.Error("the end:", err)
			}
			close(ended)
			if err := group.Stop(context.Background()); err != nil {
				t.Error("Stop:", err)
			}
			close(stopped)
			done := make(chan struct{})
			go func() { busy.Wait(); close(done) }()
			within(t, "the end of everyone", done)
		})
	}
}

// ours is the subprotocol of the server that ends. Another process may soon have
// its port.
const ours = "ends"

// useUntilRefused does everything a client can until the server and the group
// have ended, and then once more.
func useUntilRefused(t *testing.T, addr string, group *loop.Group, i int, ended, stopped <-chan struct{}, running *sync.WaitGroup) {
	opt := &engine.DialOptions{Group: group, Subprotocols: []string{ours}}
	if i%2 == 0 {
		opt.Group = nil // the shared group goes on
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var old *engine.WebSocket
	for first := true; ; first = false {
		ws, err := engine.Dial(ctx, "ws://"+addr, opt)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Error("Dial hung:", err)
			return
		}
		if err == nil {
			old = ws
			_ = ws.SendText("hello")
			_ = ws.Ping(nil)
			_ = ws.Do(func() {})
			if i%3 == 0 {
				_ = ws.Close(engine.StatusNormalClosure, "")
			} else {
				ws.CloseNow()
			}
		}
		if first {
			running.Done()
		}
		select {
		case <-ended:
			if opt.Group == nil || err == nil {
				if ws, err := engine.Dial(ctx, "ws://"+addr, opt); err == nil {
					if ws.Subprotocol() == ours {
						t.Error("Dial to a server that has ended succeeded")
					}
					ws.CloseNow()
					<-ws.Done()
				}
			}
			<-stopped
			if opt.Group != nil {
				if _, err := engine.Dial(ctx, "ws://"+addr, opt); !errors.Is(err, loop.ErrStopped) {
					t.Errorf("Dial on a stopped group: %v, want loop.ErrStopped", err)
				}
			}
			<-old.Done()
			wantEverythingRefused(t, old)
			return
		default:
		}
	}
}

// wantEverythingRefused is also R19.
func wantEverythingRefused(t *testing.T, ws *engine.WebSocket) {
	prepared, err := engine.Prepare(engine.Text, []byte("late"))
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"Send":         ws.Send(engine.Binary, []byte("late")),
		"SendFragment": ws.SendFragment(engine.Text, []byte("late"), false),
		"SendPrepared": ws.SendPrepared(prepared),
		"Ping":         ws.Ping(nil),
		"Do":           ws.Do(func() { t.Error("Do ran after the end") }),
	} {
		if !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s after the end: %v, want ErrClosed", name, err)
		}
	}
	if err := ws.Close(engine.StatusNormalClosure, ""); err != nil {
		t.Errorf("Close after the end: %v", err)
	}
	ws.CloseNow()
	ws.PauseReading()
	ws.ResumeReading()
	if addr := ws.RemoteAddr(); addr != nil {
		t.Errorf("RemoteAddr after the end: %v", addr)
	}
	if n := ws.Buffered(); n != 0 {
		t.Errorf("%d bytes are queued after the end", n)
	}
}

// R-a, U03: a request whose client has left while it waited is not asked about,
// however that left, and whoever comes then does not wait for it.
func TestBlockingUpgradeOfClientsThatLeave(t *testing.T) {
	const running, waiting = 8, 300
	entered, release := make(chan struct{}, running+waiting), make(chan struct{})
	srv := &engine.Server{
		BlockingUpgrade: true,
		UpgradeWorkers:  2 * running, // half of them for one address
		Limits:          engine.Limits{HandshakeTimeout: time.Hour},
		Callbacks:       echo,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			entered <- struct{}{}
			<-release
			return nil, nil
		},
	}
	addr := listen(t, srv)
	conns := make([]*rawClient, running)
	for i := range conns {
		conns[i] = dialRaw(t, addr)
		conns[i].send(testkit.UpgradeHead(addr))
	}
	for range running {
		within(t, "ShouldUpgrade", entered)
	}
	var resets, ends []*rawClient
	for i := range waiting {
		c := dialRaw(t, addr)
		if i%2 == 0 || runtime.GOOS != "linux" {
			c.send(testkit.UpgradeHead(addr))
			resets = append(resets, c)
		} else {
			c.send(testkit.UpgradeHead(addr) + testkit.Masked(engine.Binary, string(pattern(4<<10))))
			ends = append(ends, c)
		}
	}
	eventually(t, "all are accepted", func() bool { return engine.UpgradesWaiting(srv) == waiting })
	for _, c := range append(resets, conns[1:]...) {
		_ = c.Conn.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	eventually(t, "resets are noticed", func() bool { return engine.UpgradesWaiting(srv) == len(ends) })
	for _, c := range ends { // which nobody notices, as they sent enough for reading to be paused
		_ = c.Close()
	}
	late := dialRaw(t, addr)
	late.send(testkit.UpgradeHead(addr))
	eventually(t, "the last one waits", func() bool { return engine.UpgradesWaiting(srv) == len(ends)+1 })
	close(release)
	for _, c := range []*rawClient{conns[0], late} {
		c.wantUpgraded()
		c.exchange("hello")
	}
	eventually(t, "nobody else is left", func() bool { return srv.Conns() == 2 && engine.UpgradesWaiting(srv) == 0 })
	if n := len(entered); n != 1 {
		t.Errorf("ShouldUpgrade was asked for %d that waited, want one", n)
	}
}

// R-a: the deadline of the handshake is that of the wait.
func TestWaitForShouldUpgradeEndsAtTheDeadline(t *testing.T) {
	srv := &engine.Server{
		BlockingUpgrade: true,
		UpgradeWorkers:  1,
		ShouldUpgrade: func(*engine.Request) (http.Header, error) {
			t.Error("asked after the deadline")
			return nil, nil
		},
	}
	clock := drive(t, srv)
	addr := listen(t, srv)
	release := engine.HoldUpgrades(srv)
	c := dialRaw(t, addr)
	c.send(testkit.UpgradeHead(addr))
	eventually(t, "it waits", func() bool { return engine.UpgradesWaiting(srv) == 1 })
	clock.step(handshakeTimeout)
	c.wantRefused(http.StatusRequestTimeout)
	if n := engine.UpgradesWaiting(srv); n != 0 {
		t.Errorf("%d still wait", n)
	}
	release()
}
