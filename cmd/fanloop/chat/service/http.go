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
