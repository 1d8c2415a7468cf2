package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"

	"github.com/fanloop-go/fanloop/engine"
)

// AdminTLS is how the admin address is served; nil: without TLS. It reads the files. What
// goes wrong when they are read again is logged.
func (c *Config) AdminTLS(log *slog.Logger) (*tls.Config, error) {
	switch {
	case c.AdminTLSCert == "" && c.AdminTLSKey != "":
		return nil, at("admin-tls-key", errors.New("set admin-tls-cert too"))
	case c.AdminTLSCert != "" && c.AdminTLSKey == "":
		return nil, at("admin-tls-cert", errors.New("set admin-tls-key too, which may be the same file"))
	case c.AdminTLSCert == "" && c.AdminClientCA != "":
		return nil, at("admin-client-ca", errors.New("certificates are shown by TLS: set admin-tls-cert and admin-tls-key"))
	case c.AdminClientCA == "" && len(c.Operator.Certificates) > 0:
		return nil, at("operator.certificates", errors.New("set admin-client-ca to the authorities of certificates"))
	case c.AdminTLSCert == "":
		return nil, nil
	}
	own, err := engine.CertificateFiles(c.AdminTLSCert, c.AdminTLSKey)
	if err != nil {
		return nil, at("admin-tls-cert", err)
	}
	own.Logger = log
	settings := &tls.Config{GetCertificate: own.GetCertificate, MinVersion: tls.VersionTLS12}
	if c.AdminClientCA == "" {
		return settings, nil
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

func (c *Config) checkAdminTLS() error {
	_, err := c.AdminTLS(slog.New(slog.DiscardHandler))
	return err
}
