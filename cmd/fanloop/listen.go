package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"syscall"
	"time"
)

// listenError says what to do about an address that cannot be listened on. flag
// is where the address was given.
func listenError(flag, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use: stop what listens there, or choose another port with %s", addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("%s is not allowed: ports below 1024 need privileges; choose a higher one with %s", addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this machine: choose one that is, or :port for all, with %s", addr, flag)
	}
	if _, port, bad := net.SplitHostPort(addr); bad == nil {
		if _, unknown := net.LookupPort("tcp", port); unknown != nil {
			err = &net.AddrError{Err: "unknown port", Addr: addr}
		}
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Errorf("%s: cannot find %q: give %s an address of this machine as host:port", addr, dns.Name, flag)
	}
	if bad, ok := errors.AsType[*net.AddrError](err); ok {
		return fmt.Errorf("%q is not an address (%s): give %s as host:port, for instance 127.0.0.1:9001", addr, bad.Err, flag)
	}
	return fmt.Errorf("cannot listen on %s: %w", addr, err)
}

// servePprof serves profiles on a listener of their own until stop is called.
func servePprof(addr string, log *slog.Logger) (stop func(), err error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, listenError("--pprof", addr, err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }() // ends with stop
	log.Info("serving profiles", "url", "http://"+ln.Addr().String()+"/debug/pprof/")
	return func() { _ = srv.Close() }, nil // profiles under way are of no use any more
}
