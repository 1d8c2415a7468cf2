//go:build unix

package certfile

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// Files that cannot be read for now, as on a network disk that does not answer,
// hold up the handshake that reads them and no other.
func TestCertificateFilesThatDoNotAnswerHoldUpOneHandshake(t *testing.T) {
	first, second := testkit.NewIdentity(t, "first"), testkit.NewIdentity(t, "second")
	f := newFiles(t, first)
	f.write(nil, second.KeyPEM)
	if err := errors.Join(os.Remove(f.cert), unix.Mkfifo(f.cert, 0o600)); err != nil {
		t.Fatal(err)
	}
	f.pass(time.Second)
	read := make(chan string, 1)
	go func() { read <- f.name() }()
	disk := openPipe(t, f.cert)
	for range 3 {
		f.pass(time.Second)
		f.wantName("first")
	}
	_, _ = disk.Write(second.CertPEM)
	_ = disk.Close()
	select {
	case name := <-read:
		if name != "second" {
			t.Errorf("the call that read them got the certificate of %q", name)
		}
	case <-time.After(patience):
		t.Fatal("the call that reads them does not return")
	}
}

const patience = 20 * time.Second

// openPipe opens a pipe for writing, which has to wait for its reader.
func openPipe(t *testing.T, path string) *os.File {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		f, err := os.OpenFile(path, os.O_WRONLY|unix.O_NONBLOCK, 0)
		if err == nil {
			return f
		}
		if time.Now().After(until) {
			t.Fatal("nobody reads the files:", err)
		}
	}
}
