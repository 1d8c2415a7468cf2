package certfile

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// files are two files, a clock, and the Pair over them.
type files struct {
	*Pair
	t         *testing.T
	cert, key string
	clock     atomic.Int64 // of nanoseconds
	renewed   atomic.Int64 // calls that found it
	unusable  atomic.Int64
}

func newFiles(t *testing.T, id *testkit.Identity) *files {
	t.Helper()
	dir := t.TempDir()
	f := &files{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	f.write(id.CertPEM, id.KeyPEM)
	var err error
	if f.Pair, err = Open(f.cert, f.key); err != nil {
		t.Fatal(err)
	}
	start := time.Now().Add(time.Minute)
	f.SetNow(func() time.Time { return start.Add(time.Duration(f.clock.Load())) })
	f.name() // from here on the clock of the test counts
	return f
}

// write replaces the files, as renewal programs do.
func (f *files) write(cert, key []byte) {
	f.t.Helper()
	for name, content := range map[string][]byte{f.cert: cert, f.key: key} {
		if content == nil {
			continue
		}
		if err := errors.Join(os.WriteFile(name+".new", content, 0o600), os.Rename(name+".new", name)); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *files) pass(d time.Duration) { f.clock.Add(int64(d)) }

// name asks for the certificate and returns its subject.
func (f *files) name() string {
	cert, found, err := f.Certificate()
	if (err != nil) != (found == Unusable) {
		f.t.Errorf("found %d, and the error is %v", found, err)
	}
	switch found {
	case Renewed:
		f.renewed.Add(1)
	case Unusable:
		f.unusable.Add(1)
	}
	return cert.Leaf.Subject.CommonName
}

func (f *files) wantName(want string) {
	f.t.Helper()
	if got := f.name(); got != want {
		f.t.Errorf("the certificate is that of %q, want %q", got, want)
	}
}

func TestFilesAreLookedAtOnceASecond(t *testing.T) {
	f := newFiles(t, testkit.NewIdentity(t, "first"))
	second := testkit.NewIdentity(t, "second")
	f.write(second.CertPEM, second.KeyPEM)
	f.pass(time.Second - 1)
	f.wantName("first")
	f.pass(1)
	f.wantName("second")
	if n := f.renewed.Load(); n != 1 {
		t.Errorf("%d calls found a new certificate, want 1", n)
	}
}

// A pair that is written in two steps is not whole in between.
func TestCertificateWrittenBeforeItsKeyIsTakenWithIt(t *testing.T) {
	first, second := testkit.NewIdentity(t, "first"), testkit.NewIdentity(t, "second")
	f := newFiles(t, first)
	f.write(second.CertPEM, nil)
	f.pass(time.Second)
	f.wantName("first")
	f.write(nil, second.KeyPEM)
	f.pass(time.Second)
	f.wantName("second")
}

// A read may fail for want of a descriptor or of a permission, which no change of
// the files announces the end of.
func TestCertificateThatCouldNotBeReadIsTriedAgain(t *testing.T) {
	first, second := testkit.NewIdentity(t, "first"), testkit.NewIdentity(t, "second")
	f := newFiles(t, first)
	f.write(bytes.Repeat([]byte("x"), len(second.CertPEM)), second.KeyPEM)
	before, err := os.Stat(f.cert)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		f.pass(2 * time.Second)
		f.wantName("first")
	}
	if n := f.unusable.Load(); n != 1 {
		t.Errorf("%d calls report it, want 1", n)
	}
	// The same file, size and time: to stat it has not changed.
	if err := errors.Join(os.WriteFile(f.cert, second.CertPEM, 0o600), os.Chtimes(f.cert, before.ModTime(), before.ModTime())); err != nil {
		t.Fatal(err)
	}
	f.pass(2 * time.Second)
	f.wantName("second")
}
