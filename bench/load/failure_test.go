package load_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// deadline is for servers that miss theirs. It leaves time for what must be done
// within it.
const deadline = 5 * time.Second

// wantLine says that err is one clear line with the text in it.
func wantLine(t *testing.T, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %q, want one line with %q", err, text)
	}
}

func openError(t *testing.T, target string) error {
	t.Helper()
	_, err := start(t, load.Config{Target: target, Conns: 4}).Open(t.Context())
	return err
}

func TestTargetThatIsDownIsSaidSo(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	wantLine(t, openError(t, "ws://"+addr+"/"), "start the server")
}

func TestTargetThatSpeaksOnlyHTTPIsSaidSo(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	wantLine(t, openError(t, "ws"+strings.TrimPrefix(srv.URL, "http")), "opens no WebSocket at this path")
}

// raw serves connections with fn until the test ends.
func raw(t *testing.T, fn func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fn(c)
			t.Cleanup(func() { c.Close() })
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return "ws://" + ln.Addr().String() + "/"
}

func TestTargetThatNeverAnswersEndsTheRun(t *testing.T) {
	t.Parallel() // it waits
	g := start(t, load.Config{Target: raw(t, func(net.Conn) {}), Conns: 4, Deadline: deadline})
	_, err := g.Open(t.Context())
	wantLine(t, err, "did not answer the opening handshake")
}

func TestTargetThatHangsUpIsSaidSo(t *testing.T) {
	wantLine(t, openError(t, raw(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		c.Close()
	})), "instead of answering the opening handshake")
}

func TestTargetThatIsNoHTTPServerIsSaidSo(t *testing.T) {
	wantLine(t, openError(t, raw(t, func(c net.Conn) {
		_, _ = c.Write([]byte("SSH-2.0-OpenSSH_9.6\r\n\r\n"))
	})), "the server does not speak HTTP")
}

func TestServerThatClosesMidwayFailsTheRun(t *testing.T) {
	target := serveFaults(t, honest)
	g := open(t, load.Config{Target: target, Conns: 2})
	closing := serveFaults(t, func(_, n int, p []byte) [][]byte {
		if n == 10 {
			panic(http.ErrAbortHandler) // gorilla's connection is closed by its defer
		}
		return [][]byte{p}
	})
	_, _ = work(t, g)
	g = open(t, load.Config{Target: closing, Conns: 2})
	_, err := g.Measure(t.Context(), 0, time.Hour, nil)
	wantLine(t, err, "the server closed connection")
}

func TestRateOutOfReachIsSaidSo(t *testing.T) {
	target := serveFaults(t, func(_, _ int, p []byte) [][]byte {
		time.Sleep(10 * time.Millisecond)
		return [][]byte{p}
	})
	for _, mode := range []load.Mode{load.Echo, load.Fanout} {
		g := open(t, load.Config{Target: target, Mode: mode, Conns: 1, Size: load.MinSize, Rate: 1e9})
		_, err := g.Measure(t.Context(), 0, time.Hour, nil) // it is noticed long before
		var rate *load.RateError
		if !errors.As(err, &rate) || rate.Asked != 1e9 || rate.Answered > 1000 || rate.Sent == 0 {
			t.Fatalf("%s: error %v, want a RateError", mode, err)
		}
		wantLine(t, err, "lower the rate")
	}
}

func TestSilenceFailsTheRun(t *testing.T) {
	t.Parallel() // it waits
	target := serveFaults(t, func(_, _ int, _ []byte) [][]byte { return nil })
	g := open(t, load.Config{Target: target, Conns: 1, Deadline: deadline})
	_, err := g.Measure(t.Context(), 0, window, nil)
	wantLine(t, err, "nothing arrived")
}

// What arrives later than the window lasts is waited for.
func TestWindowLastsUntilSomethingArrives(t *testing.T) {
	target := serveFaults(t, func(_, _ int, p []byte) [][]byte {
		time.Sleep(2 * window)
		return [][]byte{p}
	})
	g := open(t, load.Config{Target: target, Conns: 1})
	if m, err := g.Measure(t.Context(), 0, window, nil); err != nil || m.Messages == 0 || m.Seconds < 2*window.Seconds() {
		t.Fatalf("%d messages in %v s, error %v", m.Messages, m.Seconds, err)
	}
}

func TestServerThatHangsEndsTheRunEarly(t *testing.T) {
	t.Parallel() // it waits
	target := serveFaults(t, func(_, n int, p []byte) [][]byte {
		if n > 10 {
			return nil
		}
		return [][]byte{p}
	})
	g := open(t, load.Config{Target: target, Conns: 1, Deadline: deadline})
	_, err := g.Measure(t.Context(), 0, time.Hour, nil)
	wantLine(t, err, "the server hangs")
}

func TestLowRateEndsInTime(t *testing.T) {
	g := open(t, load.Config{Target: serveFaults(t, honest), Conns: 1, Rate: 0.001})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = g.Measure(t.Context(), 0, window, nil) // one message comes, or none
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the measurement goes on until the next message is due")
	}
}

func TestTooFewDescriptorsIsSaidSo(t *testing.T) {
	_, err := load.Start(context.Background(), load.Config{Target: "ws://127.0.0.1:1/", Conns: load.MaxConns() + 1})
	wantLine(t, err, "use more client processes")
}

func TestWrongSettingsAreRefused(t *testing.T) {
	good := load.Config{Target: "ws://127.0.0.1:1/", Conns: 10}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*load.Config){
		"no connections":        func(c *load.Config) { c.Conns = 0 },
		"no target":             func(c *load.Config) { c.Target = "" },
		"another scheme":        func(c *load.Config) { c.Target = "http://127.0.0.1/" },
		"a fragment":            func(c *load.Config) { c.Target = "ws://127.0.0.1/#x" },
		"too small for a stamp": func(c *load.Config) { c.Size = load.MinSize - 1 },
		"negative rate":         func(c *load.Config) { c.Rate = -1 },
		"more publishers":       func(c *load.Config) { c.Mode, c.Publishers = load.Fanout, 11 },
		"unknown mode":          func(c *load.Config) { c.Mode = "walk" },
		"too long a burst":      func(c *load.Config) { c.Burst = 1 << 20 },
		"topics nobody has":     func(c *load.Config) { c.Mode, c.Topics = load.Fanout, 2 },
		"negative in flight":    func(c *load.Config) { c.InFlight = -1 },
	} {
		cfg := good
		change(&cfg)
		var config *load.ConfigError
		if err := cfg.Check(); !errors.As(err, &config) {
			t.Errorf("%s: error %v, want a ConfigError", name, err)
		}
	}
}
