// Package certfile reads a certificate and its key from two PEM files, again
// whenever they change.
package certfile

import (
	"crypto/tls"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Pair is a certificate and its key in two files.
type Pair struct {
	certFile, keyFile string
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]

	mu     sync.Mutex     // held while the files are looked at and read
	seen   [2]fs.FileInfo // of the files that were last read
	failed bool           // they could not be used: perhaps for a reason that passes
	looked time.Time      // when the files were last looked at
}

// Open reads a certificate, with the chain behind it, and its key.
func Open(certFile, keyFile string) (*Pair, error) {
	p := &Pair{certFile: certFile, keyFile: keyFile, now: time.Now}
	p.looked = p.now()
	var err error
	if p.seen, err = p.look(); err == nil {
		err = p.readLocked()
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// SetNow replaces the clock, for tests.
func (p *Pair) SetNow(now func() time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.now = now
}

// Renewal is what a look at the files found.
type Renewal uint8

// What a look at the files may find.
const (
	Unchanged Renewal = iota // or it is not time to look, or another call does
	Renewed                  // the certificate is new
	Unusable                 // the files have changed and cannot be used
)

// Certificate returns the last certificate that could be used. It looks at the
// files once a second at most; while one call reads them, others return the
// certificate there is. err says why new files are Unusable, once for each change.
// Any goroutine.
func (p *Pair) Certificate() (cert *tls.Certificate, found Renewal, err error) {
	if p.mu.TryLock() {
		defer p.mu.Unlock()
		if now := p.now(); now.Sub(p.looked) >= time.Second {
			p.looked = now
			found, err = p.renewLocked()
		}
	}
	return p.current.Load(), found, err
}

// renewLocked reads the files if they have changed, or could not be used.
func (p *Pair) renewLocked() (Renewal, error) {
	seen, err := p.look()
	known := same(seen[0], p.seen[0]) && same(seen[1], p.seen[1])
	if known && !p.failed {
		return Unchanged, nil
	}
	p.seen = seen // before they are read: what changes meanwhile is read again
	if err == nil {
		err = p.readLocked()
	}
	p.failed = err != nil
	switch {
	case err == nil:
		return Renewed, nil
	case known: // and reported
		return Unchanged, nil
	}
	return Unusable, err
}

func (p *Pair) readLocked() error {
	cert, err := tls.LoadX509KeyPair(p.certFile, p.keyFile)
	if err != nil {
		return err
	}
	p.current.Store(&cert)
	return nil
}

// look returns what shows whether the files have changed; nil for one that is
// missing.
func (p *Pair) look() (seen [2]fs.FileInfo, err error) {
	for i, name := range [...]string{p.certFile, p.keyFile} {
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
