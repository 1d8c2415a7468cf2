package engine

import (
	"crypto/tls"
	"net"

	"github.com/fanloop-go/fanloop/engine/internal/tlsconfig"
	"github.com/fanloop-go/fanloop/loop"
)

// NewTLSListener returns a TLS listener for a net/http server whose WebSockets
// move to event loops: [Server.ServeHTTP] takes over its connections, which it
// cannot do with those of a listener of package tls. nl must accept TCP or unix
// connections. Without a certificate in config, Accept returns an error, and so does
// http.Serve. config is cloned, and so is what its GetConfigForClient returns. Empty NextProtos become "http/1.1". With "h2" among
// them, net/http may serve pages by HTTP/2; a client that opens a WebSocket has to
// ask for "http/1.1".
//
//	nl, err := net.Listen("tcp", ":8443")
//	...
//	err = http.Serve(engine.NewTLSListener(nl, config), router)
func NewTLSListener(nl net.Listener, config *tls.Config) net.Listener {
	if err := checkCertificates(config); err != nil {
		return unusableListener{nl, err}
	}
	return loop.NewTLSListener(nl, tlsconfig.Server(config, tlsconfig.AnyProtocol))
}

// unusableListener accepts nothing.
type unusableListener struct {
	net.Listener
	err error // why
}

func (l unusableListener) Accept() (net.Conn, error) { return nil, l.err }
