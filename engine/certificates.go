package engine

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificates is a certificate that lives in two PEM files. When the files
// change, the handshakes that follow use the new one: no restart, no signal and
// no goroutine is needed.
//
//	certs, err := engine.CertificateFiles("cert.pem", "key.pem")
//	...
//	srv.TLS = &tls.Config{GetCertificate: certs.GetCertificate}
type Certificates struct {
	// Logger is told of new certificates, and of files that cannot be used. Set
	// it before the first handshake. Default: slog.Default().
	Logger *slog.Logger

	certFile, keyFile string
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	seen    [2]fs.FileInfo // of the files that were last read
	failed  bool           // they were of no use: perhaps for a reason that passes
	looked  time.Time      // when the files were last looked at
}

// CertificateFiles reads a certificate, with the chain behind it, and its key
// from PEM files. The error says why they are of no use.
func CertificateFiles(certFile, keyFile string) (*Certificates, error) {
	c := &Certificates{certFile: certFile, keyFile: keyFile, now: time.Now}
	c.looked = c.now()
	var err error
	if c.seen, err = c.look(); err == nil {
		err = c.readLocked()
	}
	if err != nil {
		return nil, fmt.Errorf("engine: certificate: %w", err)
	}
	return c, nil
}

// GetCertificate is for tls.Config. It looks at the files once a second at
// most, and only when it is called. As long as the files are missing, broken or
// do not belong together, it goes on with the certificate it has and logs why,
// once for each change. Any goroutine.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.looked) >= time.Second {
		c.looked = now
		c.renewLocked()
	}
	return c.current, nil
}

// renewLocked reads the files if they are others than before.
func (c *Certificates) renewLocked() {
	log := c.Logger
	if log == nil {
		log = slog.Default()
	}
	seen, err := c.look()
	known := same(seen[0], c.seen[0]) && same(seen[1], c.seen[1])
	if known && !c.failed {
		return
	}
	c.seen = seen // before they are read: what changes meanwhile is read again
	if err == nil {
		err = c.readLocked()
	}
	c.failed = err != nil
	if c.failed {
		if known { // and told
			return
		}
		log.Error("engine: the new certificate is of no use; the old one stays", "file", c.certFile, "err", err)
		return
	}
	log.Info("engine: the certificate was renewed", "file", c.certFile, "until", c.current.Leaf.NotAfter)
}

func (c *Certificates) readLocked() error {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current = &cert
	return nil
}

// look returns what stands for the content of the files; nil for one that is
// missing.
func (c *Certificates) look() (seen [2]fs.FileInfo, err error) {
	for i, name := range [...]string{c.certFile, c.keyFile} {
		info, statErr := os.Stat(name)
		if statErr != nil {
			err = statErr
			continue
		}
		seen[i] = info
	}
	return seen, err
}

func same(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
