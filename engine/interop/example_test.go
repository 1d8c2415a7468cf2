package interop

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"golang.org/x/crypto/acme/autocert"

	"github.com/fanloop-go/fanloop/engine"
)

// Behind chi, with middleware.
func Example_chi() {
	srv := &engine.Server{Callbacks: echo}
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

	ws, err := engine.Dial(context.Background(), "ws"+web.URL[len("http"):]+"/rooms/lobby", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = ws.Close(engine.StatusNormalClosure, "")
	<-ws.Done()
	// Output: asked for /rooms/lobby
}

// Certificates from Let's Encrypt, made at the first handshake for a host and
// renewed in time. The second listener answers the challenges on port 80.
func Example_autocert() {
	manager := &autocert.Manager{
		Prompt:     autocert.AcceptTOS,
		HostPolicy: autocert.HostWhitelist("chat.example.com"),
		Cache:      autocert.DirCache("certificates"),
	}
	srv := &engine.Server{HTTP: manager.HTTPHandler(nil)}
	secure := engine.ListenOptions{TLS: &tls.Config{GetCertificate: manager.GetCertificate}}
	if _, err := srv.ListenWith(":443", secure); err != nil {
		log.Fatal(err)
	}
	if _, err := srv.Listen(":80"); err != nil {
		log.Fatal(err)
	}
	<-srv.Done()
}

// Under systemd's socket activation, with FileDescriptorName=public and
// FileDescriptorName=local in the .socket units.
func Example_systemd() {
	byName, err := activation.ListenersWithNames()
	if err != nil {
		log.Fatal(err)
	}
	srv := &engine.Server{Callbacks: echo}
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
