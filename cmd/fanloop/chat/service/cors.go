package service

import "net/http"

// allowed reports whether the page of a request may use this server. Pages of other
// origins than the own may if the operator lists them, and are told so; cookies are never
// asked for. Where it returns false, it has answered.
func (s *streams) allowed(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			w.WriteHeader(http.StatusForbidden)
			return false
		}
		return true
	}
	if !s.service.allows(r) {
		w.WriteHeader(http.StatusForbidden)
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origins[0])
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	return true
}

// preflight answers a browser that asks whether a page may post.
func (s *streams) preflight(w http.ResponseWriter, r *http.Request) {
	if !s.allowed(w, r) {
		return
	}
	h := w.Header()
	h.Set("Access-Control-Allow-Methods", http.MethodPost)
	h.Set("Access-Control-Allow-Headers", "Content-Type, "+headerSession+", "+headerSeq+", Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}
