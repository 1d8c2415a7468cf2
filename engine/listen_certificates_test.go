package engine_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// certificateFiles are two files, a clock, and the Certificates over them.
type certificateFiles struct {
	*engine.Certificates
	t         *testing.T
	cert, key string
	log       *logBook
	clock     atomic.Int64 // of nanoseconds
}

func newCertificateFiles(t *testing.T, id *testkit.Identity) *certificateFiles {
	t.Helper()
	dir := t.TempDir()
	f := &certificateFiles{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	f.write(id.CertPEM, id.KeyPEM)
	var err error
	if f.Certificates, err = engine.CertificateFiles(f.cert, f.key); err != nil {
		t.Fatal(err)
	}
	f.Logger, f.log = newLog()
	start := time.Now().Add(time.Minute)
	f.SetNow(func() time.Time { return start.Add(time.Duration(f.clock.Load())) })
	f.wantName("") // from here on the clock of the test counts
	return f
}

// write replaces the files, as renewal programs do, or writes to those there are.
func (f *certificateFiles) write(cert, key []byte) {
	f.t.Helper()
	for name, content := range map[string][]byte{f.cert: cert, f.key: key} {
		if content == nil {
			continue
		}
		if err := os.WriteFile(name+".new", content, 0o600); err != nil {
			f.t.Fatal(err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *certificateFiles) pass(d time.Duration) { f.clock.Add(int64(d)) }

// wantName asks for the certificate and compares its subject, unless name is "".
func (f *certificateFiles) wantName(name string) {
	f.t.Helper()
	cert, err := f.GetCertificate(new(tls.ClientHelloInfo))
	if err != nil {
		f.t.Fatal(err)
	}
	if got := cert.Leaf.Subject.CommonName; name != "" && got != name {
		f.t.Errorf("the certificate is that of %q, want %q", got, name)
	}
}

func TestChangedCertificateIsUsedWithoutARestart(t *testing.T) {
	first, second := testkit.NewIdentity(t, "first"), testkit.NewIdentity(t, "second")
	f := newCertificateFiles(t, first)
	addr := listenWith(t, &engine.Server{Callbacks: echo}, "127.0.0.1:0",
		engine.ListenOptions{TLS: &tls.Config{GetCertificate: f.GetCertificate}})
	old := dialRaw(t, addr).secured(first.Client())
	old.send(testkit.UpgradeHead(addr))
	old.wantUpgraded()

	f.write(second.CertPEM, second.KeyPEM)
	f.pass(time.Second)
	c := dialRaw(t, addr).secured(second.Client())
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	c.exchange("by the new certificate")
	old.exchange("still here")
	if n := f.log.count("renewed"); n != 1 {
		t.Errorf("%d lines are logged, want 1", n)
	}
}

func TestBrokenCertificateLeavesTheOldOneAndIsLoggedOnce(t *testing.T) {
	first, second := testkit.NewIdentity(t, "first"), testkit.NewIdentity(t, "second")
	cases := map[string]func(f *certificateFiles){
		"no PEM":       func(f *certificateFiles) { f.write([]byte("junk"), nil) },
		"another key":  func(f *certificateFiles) { f.write(nil, second.KeyPEM) },
		"file is gone": func(f *certificateFiles) { _ = os.Remove(f.cert) },
	}
	for name, breakIt := range cases {
		t.Run(name, func(t *testing.T) {
			f := newCertificateFiles(t, first)
			breakIt(f)
			for range 5 {
				f.pass(time.Second)
				f.wantName("first")
			}
			if n := f.log.count("cannot be used"); n != 1 {
				t.Errorf("%d lines are logged, want 1", n)
			}
			f.write(second.CertPEM, second.KeyPEM)
			f.pass(time.Second)
			f.wantName("second")
		})
	}
}

func TestUnusableCertificateFilesAreAnErrorAtOnce(t *testing.T) {
	id, dir := testkit.NewIdentity(t, "server"), t.TempDir()
	cert := filepath.Join(dir, "cert.pem")
	if _, err := engine.CertificateFiles(cert, cert); err == nil {
		t.Error("missing files are no error")
	}
	if err := os.WriteFile(cert, id.CertPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.CertificateFiles(cert, cert); err == nil {
		t.Error("a file without a key is no error")
	}
}
