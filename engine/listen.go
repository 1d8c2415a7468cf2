package engine

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/fanloop-go/fanloop/engine/internal/proxyheader"
	"github.com/fanloop-go/fanloop/engine/internal/socketfile"
	"github.com/fanloop-go/fanloop/engine/internal/tlsconfig"
	"github.com/fanloop-go/fanloop/loop"
)

// ListenOptions configures one listener of a server. The zero value listens for ws, and
// takes the address that connects as that of the peer.
type ListenOptions struct {
	// TLS, if set, encrypts the connections (wss). It needs certificates, for
	// instance by [Certificates.GetCertificate]; what TLSConfig of
	// golang.org/x/crypto/acme/autocert returns will do. It is cloned. "h2" is
	// taken out of the clone's NextProtos, since a WebSocket is opened by HTTP/1.1
	// here; an empty list becomes "http/1.1". What GetConfigForClient returns is
	// treated likewise; keys that are set on it later count within a minute.
	TLS *tls.Config

	// ProxyProtocol, if set, expects the PROXY header of a proxy in front of the
	// server, before TLS. nil means none: a header is a malformed request.
	ProxyProtocol *ProxyProtocol

	// SocketMode is the permissions of the file made for a unix address, such as
	// 0o660; on Linux they hold from the moment the file exists. Default: what
	// the umask leaves of 0o777.
	SocketMode fs.FileMode

	// DeferAccept, on Linux, accepts a connection over TCP when its client has sent
	// something: each costs the server less, and a client that is silent takes no
	// descriptor. One that stays silent is accepted some seconds later, and HandshakeTimeout
	// counts from then. Elsewhere it does nothing.
	DeferAccept bool
}

// Listener is one address at which a server accepts connections. Any goroutine.
type Listener struct {
	// Immutable once it listens.
	on     *loop.Listener
	server *Server
	tls    *tls.Config        // nil: not encrypted
	proxy  *proxyheader.Trust // nil: no header is expected
	file   *socketfile.File   // nil: none, or not ours to remove

	closed chan struct{} // closed by the first close
	once   sync.Once
}

// Addr returns the address listened on, with the port it got.
func (ln *Listener) Addr() net.Addr { return ln.on.Addr() }

// String returns Addr as text.
func (ln *Listener) String() string { return ln.Addr().String() }

// Close stops listening at this address. The server goes on, and so do connections that were
// accepted here. It returns when no connection is accepted any more, and removes the file of a
// unix socket that the server made. Serve of this listener returns. In a callback of the server
// it returns ErrInCallback and does nothing.
func (ln *Listener) Close() error {
	s := ln.server
	if s.inCallback() {
		return ErrInCallback
	}
	ln.close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(s.listeners, func(l *Listener) bool { return l == ln })
	return nil
}

// Listeners returns the listeners of the server. Any goroutine.
func (s *Server) Listeners() []*Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.listeners)
}

// ListenAndServe listens on Addr and serves until Shutdown or Close, which make
// it return ErrServerClosed. Run ends the server in order by itself.
func (s *Server) ListenAndServe() error {
	if s.inCallback() {
		return ErrInCallback
	}
	if _, err := s.Listen(s.addr()); err != nil {
		return err
	}
	<-s.Done()
	return ErrServerClosed
}

// addr is Addr with its default.
func (s *Server) addr() string { return cmp.Or(s.Addr, ":8080") }

// Listen is ListenWith with the server's own TLS and no other option: it begins to serve on addr
// and returns. Wait for Done, or call Run.
func (s *Server) Listen(addr string) (*Listener, error) {
	return s.ListenWith(addr, ListenOptions{TLS: s.TLS})
}

// ListenWith begins to serve on addr besides what the server listens on
// already, and returns. Serve and ListenAndServe wait for the end of the server instead.
//
// addr is host:port, with port 0 for any, or unix:path, on Linux also
// unix:@name, which makes no file. The file of a unix socket whose server is
// dead is replaced; if the server lives, the error is syscall.EADDRINUSE.
// Shutdown and Close remove the file that ListenWith made.
func (s *Server) ListenWith(addr string, opt ListenOptions) (*Listener, error) {
	path, unix := strings.CutPrefix(addr, "unix:")
	if err := opt.check(unix && !strings.HasPrefix(path, "@")); err != nil {
		return nil, err
	}
	if err := s.started(); err != nil { // before it makes a file
		return nil, err
	}
	if unix {
		return s.listenUnix(path, opt)
	}
	return s.listen(&Listener{}, opt, func(cfg loop.ListenConfig) (*loop.Listener, error) {
		return s.group.Listen(addr, cfg)
	})
}

func (s *Server) listenUnix(path string, opt ListenOptions) (*Listener, error) {
	nl, file, err := socketfile.Listen(path, opt.SocketMode)
	if err != nil {
		return nil, fmt.Errorf("engine: listen on unix:%s: %w", path, err)
	}
	ln, err := s.listen(&Listener{file: file}, opt, func(cfg loop.ListenConfig) (*loop.Listener, error) {
		return s.group.Serve(nl, cfg)
	})
	if err != nil {
		file.Remove()
		_ = nl.Close() // of no use to anyone
	}
	return ln, err
}

// Serve is ServeWith with the server's own TLS and no other option.
func (s *Server) Serve(nl net.Listener) error {
	return s.ServeWith(nl, ListenOptions{TLS: s.TLS})
}

// ServeWith serves connections of a listener that was opened elsewhere, or
// inherited, which it takes over and closes, also if it fails. The listener must
// give access to its descriptor (*net.TCPListener, *net.UnixListener), so it is
// never one of package tls: opt.TLS does what that would. The file of a unix
// socket stays. It returns ErrServerClosed after Shutdown or Close,
// and net.ErrClosed after Close of its Listener.
func (s *Server) ServeWith(nl net.Listener, opt ListenOptions) error {
	err := opt.check(false)
	if err == nil && s.inCallback() {
		err = ErrInCallback
	}
	var ln *Listener
	if err == nil {
		ln, err = s.listen(&Listener{}, opt, func(cfg loop.ListenConfig) (*loop.Listener, error) {
			if _, ok := nl.(syscall.Conn); !ok {
				return nil, fmt.Errorf("engine: serve %T: it gives no access to a descriptor; pass the TCP or unix listener below it, and for TLS set Server.TLS or ListenOptions.TLS", nl)
			}
			return s.group.Serve(nl, cfg)
		})
	}
	if err != nil {
		_ = nl.Close() // of no use to anyone
		return err
	}
	select {
	case <-ln.closed:
	case <-s.Done():
	}
	if !s.isClosing() {
		return fmt.Errorf("engine: serve: %w", net.ErrClosed)
	}
	<-s.Done()
	return ErrServerClosed
}

// listen makes ln one of the server's listeners.
func (s *Server) listen(ln *Listener, opt ListenOptions, open func(loop.ListenConfig) (*loop.Listener, error)) (*Listener, error) {
	if err := s.started(); err != nil {
		return nil, err
	}
	var err error
	if ln.tls, err = listenerTLS(opt.TLS); err != nil {
		return nil, err
	}
	if ln.proxy, err = opt.ProxyProtocol.trust(); err != nil {
		return nil, err
	}
	ln.server, ln.closed = s, make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return nil, ErrServerClosed
	}
	ln.on, err = open(loop.ListenConfig{Accept: ln.accept, Policy: &s.settings.policy, DeferAccept: opt.DeferAccept})
	if err != nil {
		return nil, err
	}
	s.listeners = append(s.listeners, ln)
	return ln, nil
}

var errNoCertificate = errors.New("engine: TLS has no certificate; set Certificates, GetCertificate or GetConfigForClient")

// checkCertificates reports a config by which no handshake can succeed.
func checkCertificates(config *tls.Config) error {
	if config == nil || len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		return errNoCertificate
	}
	return nil
}

// listenerTLS is what a listener of a server speaks, which knows no HTTP/2.
func listenerTLS(config *tls.Config) (*tls.Config, error) {
	if config == nil {
		return nil, nil
	}
	if err := checkCertificates(config); err != nil {
		return nil, err
	}
	if err := loop.CheckTLS(); err != nil {
		return nil, fmt.Errorf("engine: TLS: %w", err)
	}
	return tlsconfig.Server(config, tlsconfig.NoHTTP2), nil
}

// close ends the listening. Any goroutine but a loop's own.
func (ln *Listener) close() {
	ln.once.Do(func() {
		ln.file.Remove() // first: a later file is another server's
		_ = ln.on.Close()
		close(ln.closed)
	})
}
