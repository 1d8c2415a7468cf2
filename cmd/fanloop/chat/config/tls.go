package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"

	"github.com/fanloop-go/fanloop/engine"
)

// TLS is how clients are served; nil: without TLS. It reads the files. What goes wrong when
// they are read again is logged.
func (c *Config) TLS(log *slog.Logger) (*tls.Config, error) {
	return serverTLS("tls-cert", c.TLSCert, "tls-key", c.TLSKey, log)
}

// serverTLS serves by a certificate in two files; nil: there is none. The keys are those of
// the settings.
func serverTLS(certKey, cert, keyKey, key string, log *slog.Logger) (*tls.Config, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "":
		return nil, at(keyKey, errors.New("set "+certKey+" too"))
	case key == "":
		return nil, at(certKey, errors.New("set "+keyKey+" too, which may be the same file"))
	}
	own, err := engine.CertificateFiles(cert, key)
	if err != nil {
		return nil, at(certKey, err)
	}
	own.Logger = log
	return &tls.Config{GetCertificate: own.GetCertificate, MinVersion: tls.VersionTLS12}, nil
}

// AdminTLS is how the admin address is served; nil: without TLS. It reads the files. What
// goes wrong when they are read again is logged.
func (c *Config) AdminTLS(log *slog.Logger) (*tls.Config, error) {
	switch {
	case c.AdminTLSCert == "" && c.AdminTLSKey == "" && c.AdminClientCA != "":
		return nil, at("admin-client-ca", errors.New("certificates are shown by TLS: set admin-tls-cert and admin-tls-key"))
	case c.AdminClientCA == "" && len(c.Operator.Certificates) > 0:
		return nil, at("operator.certificates", errors.New("set admin-client-ca to the authorities of certificates"))
	}
	settings, err := serverTLS("admin-tls-cert", c.AdminTLSCert, "admin-tls-key", c.AdminTLSKey, log)
	if err != nil || c.AdminClientCA == "" {
		return settings, err
	}
	// A probe of /healthz has none. Who shows one that is not valid is refused.
	settings.ClientAuth = tls.VerifyClientCertIfGiven
	settings.ClientCAs, err = authorities(c.AdminClientCA)
	return settings, at("admin-client-ca", err)
}

// authorities are the certificates of a file.
func authorities(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New(file + " has no certificate as PEM")
	}
	return pool, nil
}

// checkTLS finds what is wrong with the files.
func (c *Config) checkTLS() []error {
	_, err := c.TLS(slog.New(slog.DiscardHandler))
	_, errAdmin := c.AdminTLS(slog.New(slog.DiscardHandler))
	return []error{err, errAdmin}
}
