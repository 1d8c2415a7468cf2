package engine_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// echoServer is what the examples below serve.
func echoServer() *engine.Server {
	return &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	}}
}

// ask sends a text and prints what comes back.
func ask(url, text string, opt engine.DialOptions) {
	answer := make(chan string, 1)
	opt.Callbacks.OnText = func(_ *engine.WebSocket, text []byte) { answer <- string(text) }
	ws, err := engine.Dial(context.Background(), url, &opt)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ws.SendText(text)
	fmt.Println(<-answer)
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
}

// exampleTLS is a certificate for example.com that a test server comes with, and
// a client that trusts it.
func exampleTLS() (server, client *tls.Config) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// One server on two addresses: wss for everybody, and a unix socket for the
// programs of the group.
func ExampleServer_ListenWith() {
	serverTLS, clientTLS := exampleTLS()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "ws.sock")

	srv := echoServer()
	defer srv.Close()
	addr, err := srv.ListenWith("127.0.0.1:0", engine.ListenOptions{TLS: serverTLS})
	if err == nil {
		_, err = srv.ListenWith("unix:"+socket, engine.ListenOptions{SocketMode: 0o660})
	}
	if err != nil {
		fmt.Println(err)
		return
	}

	ask("wss://"+addr.String(), "by TLS", engine.DialOptions{TLS: clientTLS})
	ask("ws://local", "by a file", engine.DialOptions{NetDial: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}})
	// Output:
	// by TLS
	// by a file
}

// The address of the client comes from the proxy in front of the server.
func ExampleProxyProtocol() {
	srv := echoServer()
	srv.HTTP = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "you are ", r.RemoteAddr)
	})
	defer srv.Close()
	addr, err := srv.ListenWith("127.0.0.1:0", engine.ListenOptions{
		ProxyProtocol: &engine.ProxyProtocol{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	proxy, err := net.Dial("tcp", addr.String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer proxy.Close()
	fmt.Fprint(proxy, "PROXY TCP4 203.0.113.7 198.51.100.1 51000 443\r\n",
		"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(proxy), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: you are 203.0.113.7:51000
}

// Behind http.ServeMux.
func ExampleServer_ServeHTTP() {
	srv := echoServer()
	mux := http.NewServeMux()
	mux.Handle("GET /ws", srv)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Server{Handler: mux}
	go func() { _ = web.Serve(ln) }() // http.ErrServerClosed

	ask("ws://"+ln.Addr().String()+"/ws", "by way of net/http", engine.DialOptions{})

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(web.Shutdown(ctx)) // no new request; WebSockets stay open
	fmt.Println(srv.Shutdown(ctx)) // closes the WebSockets
	// Output:
	// by way of net/http
	// <nil>
	// <nil>
}

// wss behind a router of net/http.
func ExampleNewTLSListener() {
	serverTLS, clientTLS := exampleTLS()
	srv := echoServer()
	defer srv.Close()
	mux := http.NewServeMux()
	mux.Handle("/ws", srv)
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	web := &http.Server{Handler: mux}
	go func() { _ = web.Serve(engine.NewTLSListener(nl, serverTLS)) }()
	defer web.Close()

	ask("wss://"+nl.Addr().String()+"/ws", "encrypted", engine.DialOptions{TLS: clientTLS})
	// Output: encrypted
}

// wss with a certificate that some other program renews.
func ExampleCertificateFiles() {
	certs, err := engine.CertificateFiles("/etc/fanloop/cert.pem", "/etc/fanloop/key.pem")
	if err != nil {
		log.Fatal(err)
	}
	srv := echoServer()
	srv.Addr = ":443"
	srv.TLS = &tls.Config{GetCertificate: certs.GetCertificate}
	log.Fatal(srv.ListenAndServe())
}

// Only clients with a certificate of one authority get in, and what it says
// decides what they may do.
func ExampleRequest_TLS() {
	authority, err := os.ReadFile("/etc/fanloop/clients.pem")
	if err != nil {
		log.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(authority)
	certs, err := engine.CertificateFiles("/etc/fanloop/cert.pem", "/etc/fanloop/key.pem")
	if err != nil {
		log.Fatal(err)
	}
	srv := echoServer()
	srv.TLS = &tls.Config{
		GetCertificate: certs.GetCertificate,
		ClientAuth:     tls.RequireAndVerifyClientCert,
		ClientCAs:      clients,
	}
	srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) {
		client := req.TLS().PeerCertificates[0]
		if req.Path() == "/admin" && client.Subject.CommonName != "operator" {
			return nil, engine.Reject(http.StatusForbidden, "operators only")
		}
		return nil, nil
	}
	log.Fatal(srv.ListenAndServe())
}
