package engine_test

import (
	"crypto/tls"
	"log"

	"golang.org/x/crypto/acme/autocert"

	"github.com/fanloop-go/fanloop/engine"
)

// Certificates from Let's Encrypt, made at the first handshake for a host and
// renewed in time. The second listener answers the challenges on port 80.
func ExampleServer_autocert() {
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
