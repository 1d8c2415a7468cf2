package engine_test

import (
	"bufio"
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

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/engine"
)

// echoServer is what the examples below serve.
func echoServer() *engine.Server {
	return &engine.Server{Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) },
	}}
}

// ask sends a text by another implementation and prints what comes back.
func ask(dialer *websocket.Dialer, url, text string) {
	conn, resp, err := dialer.Dial(url, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	_ = resp.Body.Close()
	_ = conn.WriteMessage(websocket.TextMessage, []byte(text))
	_, answer, err := conn.ReadMessage()
	fmt.Println(string(answer), err)
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

	ask(&websocket.Dialer{TLSClientConfig: clientTLS}, "wss://"+addr.String(), "by TLS")
	ask(&websocket.Dialer{NetDial: func(string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}, "ws://local", "by a file")
	// Output:
	// by TLS <nil>
	// by a file <nil>
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
	defer srv.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /ws", srv)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the page") })
	web := httptest.NewServer(mux)
	defer web.Close()

	ask(websocket.DefaultDialer, "ws"+web.URL[len("http"):]+"/ws", "by way of net/http")
	// Output: by way of net/http <nil>
}

// Behind chi, with middleware.
func ExampleServer_ServeHTTP_chi() {
	srv := echoServer()
	srv.ShouldUpgrade = func(req *engine.Request) (http.Header, error) {
		fmt.Println("asked for", req.Path())
		return nil, nil
	}
	defer srv.Close()
	router := chi.NewRouter()
	router.Use(middleware.RequestID, middleware.Recoverer)
	router.Route("/rooms", func(r chi.Router) {
		r.Method(http.MethodGet, "/{room}", srv)
	})
	web := httptest.NewServer(router)
	defer web.Close()

	ask(websocket.DefaultDialer, "ws"+web.URL[len("http"):]+"/rooms/lobby", "by way of chi")
	// Output:
	// asked for /rooms/lobby
	// by way of chi <nil>
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

	ask(&websocket.Dialer{TLSClientConfig: clientTLS}, "wss://"+nl.Addr().String()+"/ws", "encrypted")
	// Output: encrypted <nil>
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

// Under systemd's socket activation, with FileDescriptorName=public and
// FileDescriptorName=local in the .socket units.
func ExampleServer_ServeWith_systemd() {
	byName, err := activation.ListenersWithNames()
	if err != nil {
		log.Fatal(err)
	}
	srv := echoServer()
	for name, listeners := range byName {
		opt := engine.ListenOptions{}
		if name == "local" {
			opt.ProxyProtocol = &engine.ProxyProtocol{TrustUnix: true}
		}
		for _, nl := range listeners {
			go func() { log.Println(name, srv.ServeWith(nl, opt)) }()
		}
	}
	<-srv.Done()
}
