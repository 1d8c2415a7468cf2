package transport

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/wsurl"
	"github.com/fanloop-go/fanloop/handshake"
)

const (
	proxyUser     = "us:er"
	proxyPassword = "s@cr/t"
	patience      = 2 * time.Minute
)

// through dials ws://a.test/ through a proxy.
func through(ctx context.Context, t *testing.T, proxy func(*url.URL) (*url.URL, error)) error {
	t.Helper()
	target, err := wsurl.Parse("ws://a.test/")
	if err != nil {
		t.Fatal(err)
	}
	tr, err := (&Dialer{Proxy: proxy, Head: handshake.Limits{MaxHead: 8 << 10, MaxHeaders: 100}}).Dial(ctx, target)
	if err == nil {
		_ = tr.Conn.Close()
	}
	return err
}

// at is a proxy at addr.
func at(scheme, addr string) func(*url.URL) (*url.URL, error) {
	return func(*url.URL) (*url.URL, error) {
		return &url.URL{Scheme: scheme, Host: addr, User: url.UserPassword(proxyUser, proxyPassword)}, nil
	}
}

// serve calls fn with each connection to the address that it returns.
func serve(t *testing.T, fn func(nc net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				fn(nc)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return ln.Addr().String()
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

var errTooLate = errors.New("too late")

// H12: hostile proxies, as hostile servers.
func TestHostileProxies(t *testing.T) {
	endless := func(nc net.Conn) {
		for line := []byte(strings.Repeat("X: abcdefghijklmnop\r\n", 200)); ; {
			if _, err := nc.Write(line); err != nil {
				return // the client gave up
			}
		}
	}
	wait := func(nc net.Conn) {
		if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the client did not give up")
		}
	}
	for name, c := range map[string]struct {
		answer string
		then   func(nc net.Conn)
		want   error
	}{
		"endless":  {"HTTP/1.1 200 OK\r\n", endless, handshake.ErrHeadTooLarge},
		"silent":   {"", wait, errTooLate},
		"mid head": {"HTTP/1.1 200 OK\r\nX", func(net.Conn) {}, io.EOF},
		"not HTTP": {"SSH-2.0-OpenSSH_9.9\r\n", wait, handshake.ErrMalformedHead},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			addr := serve(t, func(nc net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(nc)); err != nil {
					return
				}
				if c.want == errTooLate {
					cancel(errTooLate)
				}
				_, _ = io.WriteString(nc, c.answer)
				c.then(nc)
			})
			before := allocated()
			err := through(ctx, t, at("http", addr))
			after := allocated()
			var refused *ProxyError
			if !errors.As(err, &refused) || !errors.Is(refused.Cause, c.want) {
				t.Errorf("got %v, want a *ProxyError for %v", err, c.want)
			}
			if after-before > 1<<20 {
				t.Errorf("%d bytes were allocated", after-before)
			}
		})
	}
}

func TestProxiesThatCannotBeUsed(t *testing.T) {
	for _, scheme := range []string{"https", "socks4", ""} {
		err := through(t.Context(), t, at(scheme, "127.0.0.1:1"))
		var refused *ProxyError
		if !errors.As(err, &refused) || !errors.Is(refused.Cause, errors.ErrUnsupported) || strings.Contains(err.Error(), proxyPassword) {
			t.Errorf("%q: got %v, want a *ProxyError for errors.ErrUnsupported", scheme, err)
		}
	}
}

// A slash in a password ends the authority, for net/url as for RFC 3986.
func TestErrorsOfProxiesHoldNoPassword(t *testing.T) {
	for _, proxy := range []string{
		"http://user:12/secret@proxy.test:3128",
		"socks5://user:12?secret@127.0.0.1:1",
		"user:secret@127.0.0.1:1",
		"http://user:sec ret@127.0.0.1:1",
	} {
		err := through(t.Context(), t, func(*url.URL) (*url.URL, error) { return url.Parse(proxy) })
		if err == nil {
			t.Errorf("%q was used", proxy)
			continue
		}
		for _, part := range []string{"user:", "lookup", "12", "secret", "ret@"} {
			if strings.Contains(err.Error(), part) {
				t.Errorf("%q: %v", proxy, err)
			}
		}
	}
}

func TestProxyThatIsNotThere(t *testing.T) {
	for _, scheme := range []string{"http", "socks5"} {
		err := through(t.Context(), t, at(scheme, "127.0.0.1:1"))
		var refused *ProxyError
		var network *net.OpError
		if !errors.As(err, &refused) || !errors.As(refused.Cause, &network) || strings.Contains(err.Error(), proxyPassword) {
			t.Errorf("%s: got %v, want a *ProxyError for what the network says", scheme, err)
		}
	}
}
