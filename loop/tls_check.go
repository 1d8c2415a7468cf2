package loop

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// CheckTLS says why connections of loops cannot speak TLS; nil if they can. A
// loop reads a tls.Conn until its transport returns a temporary net.Error, and
// again when more has arrived, also inside a record. crypto/tls allows that, but
// does not promise it. So it is tried once in a process, before the first
// connection speaks TLS: an error refuses them all. Any goroutine.
func CheckTLS() error { return tlsCheck() }

var tlsCheck = sync.OnceValue(func() error { return checkTLS(errNoInput) })

// ErrTLSUnusable is wrapped by what CheckTLS returns.
var ErrTLSUnusable = errors.New("loop: this release of crypto/tls does not work on event loops; build with another release of Go")

// checkTLS tries it with each version. pause is what the transport returns when
// it has nothing.
func checkTLS(pause error) error {
	cert, err := checkCertificate()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		var pair *checkPair
		if err == nil {
			pair, err = newCheckPair(cert, version, pause)
		}
		if err == nil {
			err = pair.checkResume()
		}
		if err == nil && lending.Load() && !pair.lends() {
			lending.Store(false)
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrTLSUnusable, tls.VersionName(version), err)
		}
	}
	return nil
}

// checkPair are both ends of a TLS connection whose handshake is over.
type checkPair struct {
	reader, writer *tls.Conn
	in             *checkTransport // of reader
	sealed         *checkTransport // what writer sends
	pause          error
}

// checkTransport is a net.Conn until the handshake is over, and a buffer then.
type checkTransport struct {
	net.Conn
	open  bool // the handshake is over
	bytes []byte
	pause error
}

func (t *checkTransport) Read(p []byte) (int, error) {
	switch {
	case !t.open:
		return t.Conn.Read(p)
	case len(t.bytes) == 0:
		return 0, t.pause
	}
	n := copy(p, t.bytes)
	t.bytes = t.bytes[n:]
	return n, nil
}

func (t *checkTransport) Write(p []byte) (int, error) {
	if !t.open {
		return t.Conn.Write(p)
	}
	t.bytes = append(t.bytes, p...)
	return len(p), nil
}

func (t *checkTransport) SetWriteDeadline(time.Time) error { return nil }

func newCheckPair(cert tls.Certificate, version uint16, pause error) (*checkPair, error) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	p := &checkPair{in: &checkTransport{Conn: a, pause: pause}, sealed: &checkTransport{Conn: b}, pause: pause}
	p.reader = tls.Server(p.in, &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version,
		SessionTicketsDisabled: true, // nobody would read one
	})
	p.writer = tls.Client(p.sealed, &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version})
	handshakeOver := make(chan error, 1)
	go func() {
		err := p.writer.Handshake()
		if err != nil {
			_ = b.Close()
		}
		handshakeOver <- err
	}()
	err := p.reader.Handshake()
	if err != nil {
		_ = a.Close()
	}
	if err := errors.Join(err, <-handshakeOver); err != nil {
		return nil, err
	}
	p.in.open, p.sealed.open = true, true
	return p, nil
}

var checkMessage = []byte("a record")

// seal returns a record.
func (p *checkPair) seal() ([]byte, error) {
	p.sealed.bytes = nil
	_, err := p.writer.Write(checkMessage)
	return p.sealed.bytes, err
}

// checkResume reads records that come in two parts, cut inside the header, behind
// it, inside the body and before the last byte.
func (p *checkPair) checkResume() error {
	for _, cut := range []int{2, recordHeader, recordHeader + 3, -1} {
		record, err := p.seal()
		if err != nil {
			return err
		}
		if cut < 0 {
			cut += len(record)
		}
		got := make([]byte, len(record))
		p.in.bytes = record[:cut]
		if n, err := p.reader.Read(got); n > 0 || err != p.pause {
			return fmt.Errorf("%d of %d bytes of a record were read as %d, with the error %v", cut, len(record), n, err)
		}
		p.in.bytes = record[cut:]
		if n, err := p.reader.Read(got); err != nil || !bytes.Equal(got[:n], checkMessage) {
			return fmt.Errorf("a record that came in two parts was read as %q: %w", got[:n], err)
		}
	}
	return nil
}

// lends reports whether what is lent to the reader is what it reads.
func (p *checkPair) lends() bool {
	record, err := p.seal()
	if err != nil {
		return false
	}
	t := &tlsLayer{conn: p.reader}
	raw := t.lender()
	if raw == nil {
		return false
	}
	*raw = *bytes.NewBuffer(record)
	got := make([]byte, len(record))
	n, err := p.reader.Read(got)
	return err == nil && bytes.Equal(got[:n], checkMessage) && raw.Len() == 0 && !t.holdsPlaintext()
}

// checkCertificate returns the certificate of the check, which nobody else sees or trusts. It is
// written here, not made: what makes one would be in every program.
func checkCertificate() (tls.Certificate, error) {
	der, err := hex.DecodeString(checkDER)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: checkKey()}, err
}

// checkKey returns a key that everybody knows.
func checkKey() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

// checkDER is a certificate of checkKey that it signed itself.
const checkDER = "3081af3063a003020102020101300506032b657030003022180f30303031303130313030303030305a180f30303031303130" +
	"313030303030305a3000302a300506032b65700321003b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a1" +
	"8b59da29300506032b65700341003cd8c7a5c8466c31ddaa13aa5cdc7363cddaf13e89b662380f05196212f78371889ee90f" +
	"5aa5b6d5f9ebba1b8f714cbc10e54bb32bec65710b9d63d8ecfda709"
