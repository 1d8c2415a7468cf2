package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// pages serves the page and the log-in.
func pages(auth authority, rooms []string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(page) })
	mux.HandleFunc("GET /rooms", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(rooms) })
	if s, ok := auth.(*sessions); ok {
		mux.HandleFunc("POST /login", s.login)
	}
	return mux
}

const sessionTime = 12 * time.Hour

// sessions is an authority in memory. The zero value has none.
type sessions struct {
	mu      sync.Mutex
	byToken map[string]session // guarded by mu
}

type session struct {
	user string
	end  time.Time
}

// login begins a session for whoever gives a name that no session has: a chat in earnest
// asks for a password here. The cookie, or its value as a bearer token, opens rooms.
func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	name := r.FormValue("name")
	if len(name) == 0 || len(name) > 30 {
		http.Error(w, "a name has 1 to 30 bytes", http.StatusBadRequest)
		return
	}
	token, ok := s.begin(name, time.Now())
	if !ok {
		http.Error(w, "somebody has this name", http.StatusConflict)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: "session", Value: token, Path: "/", MaxAge: int(sessionTime / time.Second),
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
	w.WriteHeader(http.StatusNoContent)
}

func (s *sessions) begin(name string, now time.Time) (token string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, old := range s.byToken {
		if now.After(old.end) {
			delete(s.byToken, token)
		} else if old.user == name {
			return "", false
		}
	}
	if s.byToken == nil {
		s.byToken = make(map[string]session)
	}
	token = rand.Text()
	s.byToken[token] = session{name, now.Add(sessionTime)}
	return token, true
}

func (s *sessions) find(_ context.Context, token string) (user string, end time.Time, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.byToken[token]
	if time.Now().After(found.end) {
		return "", time.Time{}, nil
	}
	return found.user, found.end, nil
}
