package service

import (
	"net/http"
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/page"
	"github.com/fanloop-go/fanloop/handshake"
)

// pages is what the port serves besides WebSockets: the page with the client, and streams.
func (s *Service) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", page.Handler(page.Settings{
		Accounts: s.config.HasAccounts(), TokenURL: s.config.Page.TokenURL, SignInURL: s.config.Page.SignInURL,
		Nodes: func() []string { return s.nodes.Known() }, Allowed: s.allows,
	}))
	mux.HandleFunc("POST /v1/stream", func(w http.ResponseWriter, r *http.Request) { s.streams.open(w, r) })
	preflight := func(w http.ResponseWriter, r *http.Request) { s.streams.preflight(w, r) }
	mux.HandleFunc("OPTIONS /v1/stream", preflight)
	mux.HandleFunc("OPTIONS /v1/commands", preflight)
	mux.HandleFunc("POST /v1/commands", func(w http.ResponseWriter, r *http.Request) { s.streams.command(w, r) })
	return mux
}

// origins allows the own pages, those of other nodes, and those that the operator lists.
func (s *Service) origins() handshake.OriginPolicy {
	if slices.Contains(s.config.Origins, "*") {
		return handshake.AllowAnyOrigin
	}
	listed := handshake.AllowOrigins(s.config.Origins...)
	return func(req *handshake.Request) bool {
		if s.own(req) || listed(req) || s.ofNode(req) {
			return true
		}
		s.refusedOrigin(req)
		return false
	}
}

// allows reports whether the page that a request is of may use this server.
func (s *Service) allows(r *http.Request) bool {
	req, err := handshake.FromHTTP(r.Method, r.RequestURI, r.Host, r.Header, r.Proto, r.ContentLength)
	return err == nil && len(r.Header.Values("Origin")) <= 1 && s.origins()(req)
}

// own allows the own pages. Without accounts their host is this machine: a page of any
// other could have its name resolved to it (DNS rebinding), and act as any user.
func (s *Service) own(req *handshake.Request) bool {
	return handshake.SameHost(req) && (s.config.HasAccounts() || config.IsLoopback(req.Host()))
}

// ofNode allows the pages of other nodes: also of one that has ended, whose pages come here.
func (s *Service) ofNode(req *handshake.Request) bool {
	policy, err := handshake.ParseOrigins(s.nodes.Known()...)
	return err == nil && policy(req)
}
