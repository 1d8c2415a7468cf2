package engine_test

import "crypto/tls"

// secured finishes a TLS handshake with a server over c. What the server sends
// after the handshake comes when it is read.
func (c *rawClient) secured(config *tls.Config) *rawClient {
	c.t.Helper()
	tc := tls.Client(c.Conn, config)
	if err := tc.Handshake(); err != nil {
		c.t.Fatal("the TLS handshake:", err)
	}
	return newRawClient(c.t, tc)
}
