package service

import (
	"errors"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
)

// A POST costs its address a command and the bytes of its body, whatever the answer is. What
// is in it costs as much as on any connection.

// admits charges a POST and reports whether it is looked at. Where it returns false, it has
// answered.
func (s *streams) admits(w http.ResponseWriter, r *http.Request) bool {
	over := s.charge(r, 1, 0)
	if !s.allowed(w, r) {
		return false
	}
	if over != nil {
		refuseFor(w, over)
		return false
	}
	return true
}

// charge takes the cost and the bytes of a request from the rates of its address.
func (s *streams) charge(r *http.Request, cost, bytes int) error {
	peer, _ := netip.ParseAddrPort(r.RemoteAddr) // no address is one too
	client := s.service.proxies.Client(peer.Addr(), r.Header.Values)
	return s.service.addresses.Allow(limits.Network(client), float64(cost), float64(bytes))
}

// refuseFor answers what is over a limit.
func refuseFor(w http.ResponseWriter, over error) {
	var wait time.Duration
	if limit, is := errors.AsType[*limits.Error](over); is {
		wait = limit.Retry
	}
	refuseUntil(w, wait)
}

// refuseUntil answers what is over a limit for a while. The connection is closed: what
// follows on it would be read.
func refuseUntil(w http.ResponseWriter, wait time.Duration) {
	w.Header().Set("Connection", "close")
	retryAfter(w, wait)
	w.WriteHeader(http.StatusTooManyRequests)
}

// retryAfter says when to try again, in whole seconds: not before, and not at once.
func retryAfter(w http.ResponseWriter, wait time.Duration) {
	seconds := max(time.Second, wait+time.Second-1)
	w.Header().Set("Retry-After", strconv.Itoa(int(seconds/time.Second)))
}
