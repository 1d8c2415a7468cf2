package loop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/fanloop-go/fanloop/loop"
)

// certificate returns the configurations of a server and of a client that
// trusts it, with the certificate of httptest.
func certificate() (server, client *tls.Config) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates}, &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// secret says a word to those who come encrypted.
type secret struct {
	shout
	config *tls.Config
}

func (s *secret) OnOpen() {
	s.StartTLSServer(s.config, nil, func() {
		_ = s.Write(nil, []byte("welcome to "+s.TLS().ServerName+"\n"))
	})
}

// A server encrypts its connections from their first byte on.
func ExampleConn_StartTLSServer() {
	server, client := certificate()
	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Stop(context.Background())
	ln, err := group.Listen("127.0.0.1:0", loop.ListenConfig{
		Accept: func(*loop.Loop) loop.Handler { return &secret{config: server} },
	})
	if err != nil {
		log.Fatal(err)
	}

	nc, err := tls.Dial("tcp", ln.Addr().String(), client)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "is anybody there?")
	_ = nc.CloseWrite()
	answer, err := io.ReadAll(nc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", answer)
	// Output:
	// welcome to example.com
	// IS ANYBODY THERE?
}

// asking asks an encrypted server.
type asking struct {
	shout
	config *tls.Config
	answer chan string
}

func (a *asking) OnOpen() {
	a.StartTLSClient(a.config, nil, func() { _ = a.Write(nil, []byte("is anybody there?")) })
}

func (a *asking) OnData(b []byte) { a.answer <- string(b) }

// A client does it once it is connected, or once a proxy has connected it.
func ExampleConn_StartTLSClient() {
	server, client := certificate()
	nl, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		log.Fatal(err)
	}
	defer nl.Close()
	go func() {
		if nc, err := nl.Accept(); err == nil {
			defer nc.Close()
			_, _ = io.Copy(nc, nc)
		}
	}()

	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Stop(context.Background())
	a := &asking{config: client, answer: make(chan string, 1)}
	if err := group.Dial(nl.Addr(), a, loop.DialConfig{}); err != nil {
		log.Fatal(err)
	}
	fmt.Println(<-a.answer)
	// Output:
	// is anybody there?
}

// net/http serves the pages, and a loop what was hijacked.
func ExampleNewTLSListener() {
	server, client := certificate()
	group, err := loop.Start(loop.Config{Loops: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer group.Stop(context.Background())
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			log.Print(err)
			return
		}
		_ = group.Adopt(nc, &shout{}, nil)
	})}
	defer web.Close()
	go func() { _ = web.Serve(loop.NewTLSListener(nl, server)) }()

	nc, err := tls.Dial("tcp", nl.Addr().String(), client)
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	greeting := make([]byte, len("hello\n"))
	_, _ = io.ReadFull(nc, greeting)
	_, _ = io.WriteString(nc, "is anybody there?")
	_ = nc.CloseWrite()
	answer, err := io.ReadAll(nc)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s%s\n", greeting, answer)
	// Output:
	// hello
	// IS ANYBODY THERE?
}
