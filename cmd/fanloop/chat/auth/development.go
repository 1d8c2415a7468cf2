package auth

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// ErrNotLoopback: the development mode is for one machine.
var ErrNotLoopback = errors.New("auth: without accounts only loopback addresses are served; listen on 127.0.0.1, or say how users are known")

// Development identifies users without accounts: whoever comes has the name that he
// says. It is for a service and clients on one machine.
type Development struct{ lifetime time.Duration }

// NewDevelopment returns a Development, or ErrNotLoopback, wrapped, if one of the
// addresses that the service listens on can be reached from elsewhere.
func NewDevelopment(listening ...net.Addr) (*Development, error) {
	if len(listening) == 0 {
		return nil, fmt.Errorf("%w: no address is known", ErrNotLoopback)
	}
	for _, a := range listening {
		if !loopbackAddr(a) {
			return nil, fmt.Errorf("%w: %s", ErrNotLoopback, a)
		}
	}
	return &Development{24 * time.Hour}, nil
}

// Identify returns the claims of a user who says that his name is user. remote is the
// other end of the connection, and header is that of the request. It returns
// ErrNotLoopback where the peer is not on this machine: by its address, because a
// proxy forwards for it, or because the page asks for a name that is not of this
// machine (DNS rebinding).
func (d *Development) Identify(user string, remote net.Addr, host string, header http.Header) (Claims, error) {
	if !loopbackAddr(remote) || !loopbackHost(host) {
		return Claims{}, ErrNotLoopback
	}
	if name := proxies.Shown(header.Values); name != "" {
		return Claims{}, fmt.Errorf("%w: %s is in the request", ErrNotLoopback, name)
	}
	if err := names.CheckUser(user); err != nil {
		return Claims{}, err
	}
	now := time.Now()
	return Claims{User: user, Issued: now, Expires: now.Add(d.lifetime)}, nil
}

// loopbackAddr reports whether only this machine has the address.
func loopbackAddr(a net.Addr) bool {
	if a == nil {
		return false
	}
	tcp, ok := a.(*net.TCPAddr)
	if ok {
		return tcp.IP.IsLoopback()
	}
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// loopbackHost reports whether a Host header names this machine.
func loopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	if n := len(name); n > 1 && name[0] == '[' && name[n-1] == ']' {
		name = name[1 : n-1]
	}
	return isLoopback(name)
}
