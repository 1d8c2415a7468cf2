package service

import (
	"net/http"
	"slices"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/client"
	"github.com/fanloop-go/fanloop/handshake"
)

// pages is what the port serves besides WebSockets.
func (s *Service) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /fanloop.js", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-cache")
		_, _ = w.Write(client.Module()) // the client left otherwise
	})
	mux.HandleFunc("POST /v1/stream", func(w http.ResponseWriter, r *http.Request) { s.streams.open(w, r) })
	mux.HandleFunc("POST /v1/commands", func(w http.ResponseWriter, r *http.Request) { s.streams.command(w, r) })
	return mux
}

// origins allows the own pages, and those that the operator lists.
func (s *Service) origins() handshake.OriginPolicy {
	if slices.Contains(s.config.Origins, "*") {
		return handshake.AllowAnyOrigin
	}
	listed := handshake.AllowOrigins(s.config.Origins...)
	return func(req *handshake.Request) bool { return handshake.SameHost(req) || listed(req) }
}
