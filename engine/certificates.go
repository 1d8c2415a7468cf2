package engine

import (
	"crypto/tls"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
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

	certFile, keyFile string
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]

	mu     sync.Mutex     // held while the files are looked at and read
	seen   [2]fs.FileInfo // of the files that were last read
	failed bool           // they could not be used: perhaps for a reason that passes
	looked time.Time      // when the files were last looked at
}

// CertificateFiles reads a certificate, with the chain behind it, and its key
// from PEM files. The error says why they cannot be used.
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
// most, and only when it is called. While the files are missing, broken or do not
// belong together, it returns the last certificate that could be used, and logs
// why, once for each change. One call reads new files; calls meanwhile return the
// certificate there is, so a disk that does not answer holds up one handshake. Any
// goroutine.
func (c *Certificates) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if c.mu.TryLock() {
		defer c.mu.Unlock()
		if now := c.now(); now.Sub(c.looked) >= time.Second {
			c.looked = now
			c.renewLocked()
		}
	}
	return c.current.Load(), nil
}

// renewLocked reads the files if they have changed.
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
		if known { // and logged
			return
		}
		log.Error("engine: the new certificate is of no use; the old one stays", "file", c.certFile, "err", err)
		return
	}
	log.Info("engine: the certificate was renewed", "file", c.certFile, "until", c.current.Load().Leaf.NotAfter)
}

func (c *Certificates) readLocked() error {
	cert, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current.Store(&cert)
	return nil
}

// look returns what tells whether the files have changed; nil for one that is
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
