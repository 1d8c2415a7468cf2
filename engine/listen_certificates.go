package engine

import (
	"crypto/tls"
	"fmt"
	"log/slog"

	"github.com/fanloop-go/fanloop/engine/internal/certfile"
)

// Certificates is a certificate in two PEM files. When the files change, the
// handshakes that follow use the new one: no restart, no signal and no goroutine
// is needed.
//
//	certs, err := engine.CertificateFiles("cert.pem", "key.pem")
//	...
//	srv.TLS = &tls.Config{GetCertificate: certs.GetCertificate}
type Certificates struct {
	// Logger gets a line for each new certificate, and for files that cannot be
	// used. Set it before the first handshake. Default: slog.Default().
	Logger *slog.Logger

	certFile string
	files    *certfile.Pair
}

// CertificateFiles reads a certificate, with the chain behind it, and its key
// from PEM files. The error says why they cannot be used.
func CertificateFiles(certFile, keyFile string) (*Certificates, error) {
	files, err := certfile.Open(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("engine: certificate: %w", err)
	}
	return &Certificates{certFile: certFile, files: files}, nil
}

// GetCertificate returns the certificate, for tls.Config. It looks at the files
// when it is called, once a second at most. While the files are missing, broken or
// do not belong together, it returns the last certificate that could be used, and
// logs why, once for each change. One call reads new files; calls meanwhile return
// the certificate there is, so a disk that does not answer holds up one handshake.
// Any goroutine.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert, found, err := c.files.Certificate()
	log := c.Logger
	if log == nil {
		log = slog.Default()
	}
	switch found {
	case certfile.Renewed:
		log.Info("engine: the certificate was renewed", "file", c.certFile, "until", cert.Leaf.NotAfter)
	case certfile.Unusable:
		log.Error("engine: the new certificate cannot be used; the old one stays", "file", c.certFile, "err", err)
	}
	return cert, nil
}
