package engine_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// A wss server whose certificate no root of the system signed. The session
// cache makes the handshake of later connections short.
func ExampleDial_tls() {
	serverTLS, clientTLS := exampleTLS()
	clientTLS.ClientSessionCache = tls.NewLRUClientSessionCache(16)
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.SendText("hello")
		_ = ws.Close(engine.StatusNormalClosure, "")
	}}
	defer srv.Close()
	addr, err := srv.ListenWith("127.0.0.1:0", engine.ListenOptions{TLS: serverTLS})
	if err != nil {
		fmt.Println(err)
		return
	}

	ws, err := engine.Dial(context.Background(), "wss://"+addr.String()+"/", &engine.DialOptions{
		TLS: clientTLS,
		Callbacks: engine.Callbacks{
			OnText: func(_ *engine.WebSocket, text []byte) { fmt.Println(string(text)) },
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(ws.TLS().NegotiatedProtocol)
	<-ws.Done()

	_, err = engine.Dial(context.Background(), "wss://"+addr.String()+"/", nil)
	var untrusted x509.UnknownAuthorityError
	fmt.Println("not trusted:", errors.As(err, &untrusted))
	// Unordered output:
	// hello
	// http/1.1
	// not trusted: true
}

// A proxy for some hosts, and none for the others.
func ExampleDialOptions_proxy() {
	opt := &engine.DialOptions{
		Proxy: func(u *url.URL) (*url.URL, error) {
			if u.Hostname() != "chat.example" {
				return nil, nil
			}
			return url.Parse("socks5://user:password@127.0.0.1:1")
		},
	}
	_, err := engine.Dial(context.Background(), "wss://chat.example/", opt)
	var refused *engine.ProxyError
	if errors.As(err, &refused) {
		fmt.Println("no way through", refused.Proxy)
	}
	// Output: no way through socks5://127.0.0.1:1
}

// A WebSocket over a unix socket.
func ExampleDialOptions_netDial() {
	opt := &engine.DialOptions{
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", "/run/nobody.sock")
		},
	}
	_, err := engine.Dial(context.Background(), "ws://localhost/", opt)
	var network *net.OpError
	fmt.Println(errors.As(err, &network) && network.Net == "unix")
	// Output: true
}

// A client that subscribes again whenever it had to connect again.
func ExampleDialReconnecting() {
	restarted := make(chan bool, 1) // the server drops its first client
	restarted <- true
	srv := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		ws.OnText(func(ws *engine.WebSocket, text []byte) {
			fmt.Printf("server got %q\n", text)
			select {
			case <-restarted:
				ws.CloseNow()
			default:
				_ = ws.Close(engine.StatusNormalClosure, "bye")
			}
		})
	}}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	r, err := engine.DialReconnecting(context.Background(), "ws://"+addr.String()+"/", nil, engine.ReconnectPolicy{
		MaxElapsed: time.Minute,
		OnConnect: func(ws *engine.WebSocket, n int) {
			_ = ws.SendText(fmt.Sprint("subscribe ", n))
		},
		OnRetry: func(err error, _ time.Duration) {
			fmt.Println("lost:", errors.Is(err, engine.ErrAbnormalClosure))
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-r.Done()
	fmt.Println(r.Err())
	// Output:
	// server got "subscribe 1"
	// lost: true
	// server got "subscribe 2"
	// engine: trying again would not help: engine: the connection was closed with 1000: "bye"
}

// A token that is fetched anew for each attempt, and a server that refuses an old
// one with 401, which is final unless you say otherwise.
func ExampleReconnectPolicy() {
	srv := &engine.Server{ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
		token := req.Header("Authorization")
		fmt.Println("server got", token)
		if token != "Bearer 2" {
			return nil, engine.Reject(http.StatusUnauthorized, "the token has expired")
		}
		return nil, nil
	}}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	fetchToken := func(_ context.Context, n int) (string, error) { return fmt.Sprint("Bearer ", n), nil }
	c, err := engine.DialReconnecting(context.Background(), "ws://"+addr.String()+"/", nil, engine.ReconnectPolicy{
		BaseDelay: time.Millisecond,
		Prepare: func(ctx context.Context, a *engine.Attempt) error {
			token, err := fetchToken(ctx, a.N)
			a.Header.Set("Authorization", token)
			return err
		},
		ShouldRetry: func(err error, retry bool) bool {
			var refused *engine.StatusError
			return retry || errors.As(err, &refused) && refused.Status == http.StatusUnauthorized
		},
		OnConnect: func(ws *engine.WebSocket, n int) {
			fmt.Println("connected")
			_ = ws.Close(engine.StatusNormalClosure, "")
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-c.Done()
	fmt.Println(c.Err())
	// Output:
	// server got Bearer 1
	// server got Bearer 2
	// connected
	// engine: trying again would not help: engine: the connection was closed with 1000
}
