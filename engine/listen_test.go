package engine_test

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// socketPath is a path that is short enough for a unix socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fanloop")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "ws.sock")
}

func missingFile(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

func TestUnixSocketIsServedAndItsFileRemoved(t *testing.T) {
	for name, end := range map[string]func(*engine.Server) error{"Shutdown": shutdown, "Close": (*engine.Server).Close} {
		t.Run(name, func(t *testing.T) {
			path := socketPath(t)
			srv := &engine.Server{Callbacks: echo}
			if got := listenWith(t, srv, "unix:"+path, engine.ListenOptions{SocketMode: 0o622}); got != path {
				t.Errorf("the address is %q, want %q", got, path)
			}
			info, err := os.Lstat(path)
			if err != nil || info.Mode() != fs.ModeSocket|0o622 {
				t.Errorf("the file has mode %v (%v), want that of the options whatever the umask", info.Mode(), err)
			}
			c := dialUnix(t, path)
			c.send(testkit.UpgradeHead("local") + testkit.Masked(engine.Text, "first"))
			c.wantUpgraded()
			c.wantMessage(engine.Text, "first")
			c.send(testkit.Masked(codec.Close, ""))
			c.wantClose(engine.StatusNoStatusRcvd)
			_ = c.Close()
			if err := end(srv); err != nil {
				t.Error(err)
			}
			if !missingFile(path) {
				t.Error("the file is left")
			}
		})
	}
}

// leaveSocketFile leaves at path what a server does that was killed.
func leaveSocketFile(t *testing.T, path string) {
	t.Helper()
	dead, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
}

func TestStaleSocketFileIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := socketPath(t)
	leaveSocketFile(t, path)
	srv := &engine.Server{Callbacks: echo}
	listenWith(t, srv, "unix:"+path, engine.ListenOptions{})

	second := new(engine.Server)
	t.Cleanup(func() { _ = second.Close() })
	if _, err := second.Listen("unix:" + path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("beside a server that lives: %v, want EADDRINUSE", err)
	}
	c := dialUnix(t, path)
	c.send(testkit.UpgradeHead("local"))
	c.wantUpgraded()
	c.exchange("unmoved")
}

func TestOnlyAFileOfItsOwnIsRemoved(t *testing.T) {
	path := socketPath(t)
	srv := new(engine.Server)
	listenWith(t, srv, "unix:"+path, engine.ListenOptions{})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	later, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if missingFile(path) {
		t.Error("the file of a later server was removed")
	}
}

func TestFailedListenLeavesNoFile(t *testing.T) {
	path := socketPath(t)
	srv := new(engine.Server)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := srv.Listen("unix:" + path); !errors.Is(err, engine.ErrServerClosed) {
		t.Errorf("%v, want ErrServerClosed", err)
	}
	if !missingFile(path) {
		t.Error("the file is left")
	}
}

func TestAbstractUnixSocketNeedsNoFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("abstract names are Linux's")
	}
	name := "@" + socketPath(t)
	srv := &engine.Server{Callbacks: echo}
	listenWith(t, srv, "unix:"+name, engine.ListenOptions{})
	c := dialUnix(t, name)
	c.send(testkit.UpgradeHead("local"))
	c.wantUpgraded()
	c.exchange("hello")
}

func TestServedUnixListenerKeepsItsFile(t *testing.T) {
	path := socketPath(t)
	nl, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &engine.Server{Callbacks: echo}
	serving := make(chan error, 1)
	go func() { serving <- srv.Serve(nl) }()
	c := dialUnix(t, path)
	c.send(testkit.UpgradeHead("local"))
	c.wantUpgraded()
	c.exchange("hello")
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := within(t, "the end of Serve", serving); !errors.Is(err, engine.ErrServerClosed) {
		t.Error(err)
	}
	if missingFile(path) {
		t.Error("a file that another made was removed")
	}
}

func TestListenersDifferInTheirOptions(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	secure := make(chan bool, 1)
	srv := &engine.Server{Callbacks: echo, OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		secure <- ws.TLS() != nil && req.TLS() != nil
	}}
	plain := listen(t, srv)
	wss := listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{TLS: id.Server()})
	path := socketPath(t)
	listenWith(t, srv, "unix:"+path, engine.ListenOptions{TLS: id.Server()})
	clients := map[string]*rawClient{
		"plain":          dialRaw(t, plain),
		"TLS":            dialRaw(t, wss).secured(id.Client()),
		"TLS over unix:": dialUnix(t, path).secured(id.Client()),
	}
	for name, c := range clients {
		c.send(testkit.UpgradeHead(plain))
		c.wantUpgraded()
		c.exchange(name)
		if got := within(t, "OnUpgrade", secure); got != (name != "plain") {
			t.Errorf("%s: secure is %v", name, got)
		}
	}
	if n := srv.Conns(); n != len(clients) {
		t.Errorf("%d connections, want %d", n, len(clients))
	}
	if st := srv.Stats(); st.Encrypted != 2 {
		t.Errorf("%d connections count as encrypted, want 2: %+v", st.Encrypted, st)
	}
}

func TestServerTLSIsSpokenByListenAndServe(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	srv := &engine.Server{TLS: id.Server(), Callbacks: echo}
	tcp := listen(t, srv)
	path := socketPath(t)
	serving := make(chan error, 1)
	nl, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	go func() { serving <- srv.Serve(nl) }()
	for name, c := range map[string]*rawClient{"Listen": dialRaw(t, tcp), "Serve": dialUnix(t, path)} {
		c = c.secured(id.Client())
		c.send(testkit.UpgradeHead(tcp))
		c.wantUpgraded()
		c.exchange(name)
	}
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	within(t, "the end of Serve", serving)
}

func TestTLSWithoutACertificateIsAnErrorAtOnce(t *testing.T) {
	srv := new(engine.Server)
	t.Cleanup(func() { _ = srv.Close() })
	if _, err := srv.ListenWith("127.0.0.1:0", engine.ListenOptions{TLS: new(tls.Config)}); err == nil {
		t.Error("no error")
	}
}

// The engine does not speak HTTP/2, so it must not agree to.
func TestHTTP2IsNeverAgreed(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	for name, protos := range map[string][]string{"no list": nil, "with h2": {"h2", "http/1.1", "acme-tls/1"}, "only h2": {"h2"}} {
		t.Run(name, func(t *testing.T) {
			config := id.Server()
			config.NextProtos = protos
			addr := listenWith(t, new(engine.Server), "127.0.0.1:0", engine.ListenOptions{TLS: config})
			client := id.Client()
			client.NextProtos = []string{"h2", "http/1.1"}
			c := dialRaw(t, addr).secured(client)
			if got := c.Conn.(*tls.Conn).ConnectionState().NegotiatedProtocol; got != "http/1.1" {
				t.Errorf("agreed on %q, want http/1.1", got)
			}
			if len(protos) > 0 && config.NextProtos[0] != "h2" {
				t.Error("the caller's configuration was changed")
			}
		})
	}
}

// Behind a TLS listener net/http speaks HTTP/2 if the configuration says so.
func TestTLSListenerAgreesOnTheProtocolsOfItsConfiguration(t *testing.T) {
	id := testkit.NewIdentity(t, "server")
	for want, protos := range map[string][]string{"HTTP/1.1": nil, "HTTP/2.0": {"h2", "http/1.1"}} {
		t.Run(want, func(t *testing.T) {
			config := id.Server()
			config.NextProtos = protos
			addr := mountWith(t, &engine.Server{Callbacks: echo}, config)
			transport := &http.Transport{TLSClientConfig: id.Client(), ForceAttemptHTTP2: true}
			defer transport.CloseIdleConnections()
			resp, err := (&http.Client{Transport: transport}).Get("https://" + addr + "/page")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.Proto != want {
				t.Errorf("a page came by %s, want %s", resp.Proto, want)
			}
			client := id.Client()
			client.NextProtos = []string{"http/1.1"}
			c := dialRaw(t, addr).secured(client)
			c.send(testkit.UpgradeHead(addr))
			c.wantUpgraded()
			c.exchange("moved")
			if len(config.NextProtos) != len(protos) {
				t.Error("the caller's configuration was changed")
			}
		})
	}
}

// A listener that is closed takes nobody in; what it accepted, its server and the
// other listeners go on.
func TestListenerClosesAlone(t *testing.T) {
	srv := &engine.Server{Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) }}}
	t.Cleanup(func() { _ = srv.Close() })
	path := filepath.Join(t.TempDir(), "sock")
	var lns []*engine.Listener
	for _, addr := range []string{"127.0.0.1:0", "127.0.0.1:0", "unix:" + path} {
		ln, err := srv.Listen(addr)
		if err != nil {
			t.Fatal(err)
		}
		lns = append(lns, ln)
	}
	if !slices.Equal(srv.Listeners(), lns) || lns[0].String() == lns[1].String() {
		t.Fatalf("the listeners are %v, want %v", srv.Listeners(), lns)
	}
	first, second := openRaw(t, lns[0].String()), openRaw(t, lns[1].Addr().String())
	for range 2 { // closing twice is no error
		for _, ln := range []*engine.Listener{lns[0], lns[2]} {
			if err := ln.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := net.Dial("tcp", lns[0].String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dialling a closed listener: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file of a closed listener: %v", err)
	}
	if got := srv.Listeners(); !slices.Equal(got, lns[1:2]) {
		t.Errorf("the listeners are %v, want %v", got, lns[1:2])
	}
	for _, c := range []*rawClient{first, second, openRaw(t, lns[1].String())} {
		c.send(frame(0x81, "still here"))
		c.wantMessage(engine.Text, "still here")
	}
	inCallback := make(chan error, 1)
	srv.Each(func(*engine.WebSocket) {
		select {
		case inCallback <- lns[1].Close():
		default:
		}
	})
	if err := within(t, "the callback", inCallback); err != engine.ErrInCallback {
		t.Errorf("Close in a callback: %v", err)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := new(engine.Server)
	t.Cleanup(func() { _ = srv.Close() })
	served := make(chan error, 1)
	go func() { served <- srv.Serve(nl) }()
	eventually(t, "it listens", func() bool { return len(srv.Listeners()) == 1 })
	ln := srv.Listeners()[0]
	if ln.String() != nl.Addr().String() {
		t.Errorf("it listens on %v, want %v", ln, nl.Addr())
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := within(t, "the end of Serve", served); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := srv.Listen("127.0.0.1:0"); err != nil {
		t.Errorf("the server does not go on: %v", err)
	}
}
