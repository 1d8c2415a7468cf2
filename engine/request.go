package engine

import (
	"crypto/tls"

	"github.com/fanloop-go/fanloop/handshake"
)

// Request is the request of a WebSocket, as ShouldUpgrade and OnUpgrade get it:
// what the parser has of it, such as Path, Query, Header and Cookie, and how it
// came.
type Request struct {
	*handshake.Request // never changes
}

// TLS returns what [WebSocket.TLS] will return. It is nil if the request came
// without TLS or its connection has ended. Do not change it. Any goroutine.
func (r *Request) TLS() *tls.ConnectionState {
	if p, ok := r.Peer.(interface{ TLS() *tls.ConnectionState }); ok {
		return p.TLS()
	}
	return nil
}
