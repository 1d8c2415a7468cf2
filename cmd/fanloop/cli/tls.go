package cli

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/engine"
)

// ServerTLS are the flags of a server that speaks TLS.
type ServerTLS struct {
	certFile, keyFile string
	selfSigned        bool
	clientCAFile      string
}

func (o *ServerTLS) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.certFile, "tls-cert", "", "serve https and wss with the certificate and its chain in a PEM `file`; it is read again when it changes")
	flags.StringVar(&o.keyFile, "tls-key", "", "PEM `file` with the key of --tls-cert")
	flags.BoolVar(&o.selfSigned, "self-signed", false, "serve https and wss with a certificate made now, for trying it out")
	flags.StringVar(&o.clientCAFile, "tls-client-ca", "", "require a certificate from clients, signed by an authority in this PEM `file`")
}

// config is nil if the flags ask for no TLS. A certificate made now is for the
// machine itself and for host.
func (o *ServerTLS) Config(host string, log *slog.Logger) (*tls.Config, error) {
	if err := pair(o.certFile, o.keyFile); err != nil {
		return nil, err
	}
	config := new(tls.Config)
	switch {
	case o.selfSigned && o.certFile != "":
		return nil, Usagef("--self-signed makes a certificate and --tls-cert names one: give one of them")
	case o.selfSigned:
		made, err := bench.SelfSigned(selfSignedHosts(host)...)
		if err == nil {
			made.Leaf, err = x509.ParseCertificate(made.Certificate[0])
		}
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{made}
	case o.certFile != "":
		certs, err := engine.CertificateFiles(o.certFile, o.keyFile)
		if err != nil {
			return nil, certificateError(o.certFile, o.keyFile, err)
		}
		certs.Logger = log
		config.GetCertificate = certs.GetCertificate
	case o.clientCAFile != "":
		return nil, Usagef("--tls-client-ca is for TLS: give --tls-cert and --tls-key, or --self-signed")
	default:
		return nil, nil
	}
	if o.clientCAFile == "" {
		return config, nil
	}
	var err error
	config.ClientAuth = tls.RequireAndVerifyClientCert
	config.ClientCAs, err = readAuthorities("--tls-client-ca", o.clientCAFile)
	return config, err
}

// selfSignedHosts are the names of this machine, and host if it is another one.
func selfSignedHosts(host string) []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	for _, known := range append(hosts, "", "0.0.0.0", "::") {
		if strings.EqualFold(host, known) {
			return hosts
		}
	}
	return append(hosts, host)
}

// Fingerprint is the SHA-256 of a certificate as openssl x509 -Fingerprint
// writes it.
func Fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

// ClientTLS are the flags of a client that speaks TLS.
type ClientTLS struct {
	caFile            string
	insecure          bool
	certFile, keyFile string
}

func (o *ClientTLS) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.caFile, "tls-ca", "", "trust the authorities in a PEM `file` instead of those of the system")
	flags.BoolVarP(&o.insecure, "insecure", "k", false, "trust any certificate, for trying it out: anyone may pose as the server")
	flags.StringVar(&o.certFile, "tls-cert", "", "show the server the certificate in a PEM `file`")
	flags.StringVar(&o.keyFile, "tls-key", "", "PEM `file` with the key of --tls-cert")
}

// config is what the flags ask for.
func (o *ClientTLS) Config() (*tls.Config, error) {
	if err := pair(o.certFile, o.keyFile); err != nil {
		return nil, err
	}
	if o.insecure && o.caFile != "" {
		return nil, Usagef("--insecure trusts everybody and --tls-ca some only: give one of them")
	}
	config := &tls.Config{InsecureSkipVerify: o.insecure}
	if o.caFile != "" {
		var err error
		if config.RootCAs, err = readAuthorities("--tls-ca", o.caFile); err != nil {
			return nil, err
		}
	}
	if o.certFile != "" {
		cert, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return nil, certificateError(o.certFile, o.keyFile, err)
		}
		config.Certificates = []tls.Certificate{cert}
	}
	return config, nil
}

// details are lines about what was agreed with the server.
func (o *ClientTLS) Details(state *tls.ConnectionState) string {
	alpn := state.NegotiatedProtocol
	if alpn == "" {
		alpn = "none"
	}
	lines := fmt.Sprintf("\n  %s, %s, %s, ALPN %s", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), state.CurveID, alpn)
	cert := state.PeerCertificates[0]
	checked := "trusted"
	if o.insecure {
		checked = "not checked"
	}
	return lines + fmt.Sprintf("\n  certificate for %q until %s, %s, SHA-256 %s",
		CertificateHosts(cert), cert.NotAfter.Format(time.DateOnly), checked, Fingerprint(cert.Raw))
}

// CertificateHosts are the names and addresses that a certificate is for.
func CertificateHosts(cert *x509.Certificate) string {
	hosts := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return strings.Join(hosts, ", ")
}

func pair(certFile, keyFile string) error {
	switch {
	case certFile != "" && keyFile == "":
		return Usagef("--tls-cert without --tls-key: give the file of its key too, which may be the same one")
	case certFile == "" && keyFile != "":
		return Usagef("--tls-key without --tls-cert: give the file of its certificate too")
	}
	return nil
}

// certificateError says which of the files is of no use, and why.
func certificateError(certFile, keyFile string, err error) error {
	if missing, ok := errors.AsType[*fs.PathError](err); ok {
		flag := "--tls-cert"
		if missing.Path == keyFile && keyFile != certFile {
			flag = "--tls-key"
		}
		return fmt.Errorf("%s: cannot read %s: %w", flag, missing.Path, missing.Err)
	}
	return fmt.Errorf("--tls-cert %s and --tls-key %s are no certificate and its key: %w", certFile, keyFile, RootCause(err))
}

// readAuthorities reads the certificates of a file that flag names.
func readAuthorities(flag, file string) (*x509.CertPool, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot read %s: %w", flag, file, RootCause(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("%s: %s holds no certificate in PEM", flag, file)
	}
	return pool, nil
}
