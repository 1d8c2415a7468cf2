package admin

import (
	"io"
	"net/http"
)

// healthy answers while the process serves at all.
func (h *Handler) healthy(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") }

// ready answers 503 when the node should get no new connections, with the reason.
func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) {
	if err := h.config.Node.Ready(); err != nil {
		plain(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	plain(w, http.StatusOK, "ready")
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the client left otherwise
}
