package load

import (
	"crypto/tls"
	"fmt"
)

// cipherSuite is what crypto/tls agrees to with itself where the CPU has AES.
const cipherSuite = tls.TLS_AES_128_GCM_SHA256

// keyExchange is what every TLS library agrees to. A hybrid with ML-KEM, which crypto/tls prefers,
// costs half as much again, and OpenSSL 3.0 has none.
const keyExchange = tls.X25519

// secure is what all wss clients share: TLS 1.3, no session resumption, any
// certificate.
var secure = &tls.Config{
	MinVersion:                  tls.VersionTLS13,
	InsecureSkipVerify:          true,
	DynamicRecordSizingDisabled: true,
	CurvePreferences:            []tls.CurveID{keyExchange},
}

// secured says whether c is encrypted like those of any other server.
func (c *conn) secured() error {
	state := c.TLS()
	if state.CipherSuite != cipherSuite {
		return fmt.Errorf("the server chose %s, and figures compare only with %s",
			tls.CipherSuiteName(state.CipherSuite), tls.CipherSuiteName(cipherSuite))
	}
	return nil
}
