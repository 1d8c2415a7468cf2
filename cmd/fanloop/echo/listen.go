package echo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// listenOptions are the flags that say where and how a server is reached.
type listenOptions struct {
	addr    string
	addrSet bool // --addr was given
	unix    string
	tls     cli.ServerTLS
	proxies []string
}

func (o *listenOptions) add(flags *pflag.FlagSet) {
	flags.StringVarP(&o.addr, "addr", "a", o.addr, "listen on `host:port`; port 0 takes a free one")
	flags.StringVar(&o.unix, "unix", "", "listen on the unix socket at `path`; on Linux @name makes no file")
	o.tls.AddFlags(flags)
	flags.StringSliceVar(&o.proxies, "proxy-protocol", nil,
		"take PROXY headers from `addresses` such as 10.0.0.0/8, which must send one; unix: whoever connects to the unix socket")
}

// listening is where a server is reached.
type listening struct {
	addrs  []net.Addr
	tls    *tls.Config
	failed chan error // what a socket of systemd came to
}

// open begins to listen.
func (o *listenOptions) open(srv *engine.Server, log *slog.Logger) (*listening, error) {
	opt, err := o.engine(log)
	if err != nil {
		return nil, err
	}
	passed, err := passedListeners()
	if err != nil {
		return nil, err
	}
	l := &listening{tls: opt.TLS, failed: make(chan error, len(passed))}
	if o.addrSet || o.unix == "" && len(passed) == 0 {
		ln, err := srv.ListenWith(o.addr, opt)
		if err != nil {
			return nil, cli.ListenError("--addr", o.addr, err)
		}
		l.addrs = append(l.addrs, ln.Addr())
	}
	if o.unix != "" {
		ln, err := srv.ListenWith("unix:"+o.unix, opt)
		if err != nil {
			return nil, unixError(o.unix, err)
		}
		l.addrs = append(l.addrs, ln.Addr())
	}
	for _, nl := range passed {
		l.addrs = append(l.addrs, nl.Addr())
		go func() { l.failed <- srv.ServeWith(nl, opt) }()
	}
	return l, nil
}

// engine is what the flags mean to the engine.
func (o *listenOptions) engine(log *slog.Logger) (opt engine.ListenOptions, err error) {
	if opt.ProxyProtocol, err = parseProxies(o.proxies); err != nil {
		return opt, err
	}
	host, _, _ := net.SplitHostPort(o.addr) // else listening says what is wrong with it
	opt.TLS, err = o.tls.Config(host, log)
	return opt, err
}

func parseProxies(proxies []string) (*engine.ProxyProtocol, error) {
	if len(proxies) == 0 {
		return nil, nil
	}
	p := new(engine.ProxyProtocol)
	for _, proxy := range proxies {
		proxy = strings.TrimSpace(proxy)
		if proxy == "unix" {
			p.TrustUnix = true
			continue
		}
		trusted, err := netip.ParsePrefix(proxy)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(proxy); err == nil {
				trusted, err = addr.Prefix(addr.BitLen())
			}
		}
		if err != nil {
			return nil, cli.Usagef("--proxy-protocol %q: want an address like 10.0.0.1, a network like 10.0.0.0/8, or unix", proxy)
		}
		p.Trusted = append(p.Trusted, trusted)
	}
	return p, nil
}

// passedListeners are the sockets that systemd listens on for this process
// (sd_listen_fds).
func passedListeners() ([]net.Listener, error) {
	files := activation.Files(true)
	listeners := make([]net.Listener, len(files))
	for i, f := range files {
		nl, err := net.FileListener(f)
		_ = f.Close() // nl has a copy
		if err != nil {
			return nil, fmt.Errorf("descriptor %d of LISTEN_FDS is no stream socket that listens: %w", 3+i, err)
		}
		listeners[i] = nl
	}
	return listeners, nil
}

// String is one line for each place, and one for a certificate that nobody
// knows yet.
func (l *listening) String() string {
	var lines strings.Builder
	for _, addr := range l.addrs {
		fmt.Fprintln(&lines, ready(addr, l.tls != nil))
	}
	if l.tls != nil && len(l.tls.Certificates) > 0 {
		made := l.tls.Certificates[0].Leaf
		fmt.Fprintf(&lines, "certificate made for %s, SHA-256 %s\n", cli.CertificateHosts(made), cli.Fingerprint(made.Raw))
	}
	return lines.String()
}

// ready is the line that says where the server is.
func ready(addr net.Addr, secure bool) string {
	web, socket := "http", "ws"
	if secure {
		web, socket = "https", "wss"
	}
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil || addr.Network() == "unix" {
		return fmt.Sprintf("listening on unix:%s  (%s and %s)", addr, web, socket)
	}
	everywhere := ""
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host, everywhere = "localhost", "  (on every interface)"
	}
	at := net.JoinHostPort(host, port)
	return fmt.Sprintf("listening on %s://%s/  %s://%s/%s", web, at, socket, at, everywhere)
}

// unixError says what to do about a path that cannot be listened on.
func unixError(path string, err error) error {
	info, statErr := os.Lstat(path)
	switch {
	case errors.Is(err, syscall.EADDRINUSE) && statErr == nil && info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is not a socket: remove it, or choose another path with --unix", path)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop what listens there, or choose another path with --unix", path)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not allowed: choose a path with --unix in a folder that you may write to", path)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%s: its folder does not exist: make it, or choose another path with --unix", path)
	case errors.Is(err, syscall.EINVAL):
		return cli.Usagef("%s is too long for a unix socket: choose a shorter path with --unix", path)
	}
	return fmt.Errorf("cannot listen on unix:%s: %w", path, cli.RootCause(err))
}
