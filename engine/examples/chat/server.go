package main

import (
	"bytes"
	"context"
	_ "embed"
	"net/http"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

//go:embed page.html
var page []byte

// authority knows whose session a token is. It may ask a database.
type authority interface {
	// find returns "" if there is no such session.
	find(ctx context.Context, token string) (user string, end time.Time, err error)
}

// visit is one connection in a room: the value of its WebSocket. Immutable.
type visit struct {
	user string
	end  time.Time // of the session
	room *room
}

func newServer(auth authority, names []string) *engine.Server {
	srv := new(engine.Server)
	rooms := make(map[string]*room)
	for _, name := range names {
		rooms[name] = &room{topic: srv.Topic(name), here: make(map[string]int)}
	}
	srv.Handle("/rooms/{room}", &engine.Endpoint{
		BlockingUpgrade: true, // auth may take its time
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			v, err := admit(req, auth, rooms)
			req.Value = v
			return nil, err
		},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { engine.Get[*visit](ws).begin(ws) },
		Callbacks: engine.Callbacks{
			OnText:  func(ws *engine.WebSocket, text []byte) { engine.Get[*visit](ws).say(bytes.TrimSpace(text)) },
			OnGap:   func(ws *engine.WebSocket, _ string, lost uint64) { engine.Get[*visit](ws).catchUp(ws, lost) },
			OnClose: func(ws *engine.WebSocket, _ engine.StatusCode, _ string) { engine.Get[*visit](ws).leave() },
		},
		Limits: engine.Limits{MaxMessage: 1 << 10},
		Slow:   engine.Slow{Policy: engine.SlowDropOldest, Limit: 64 << 10},
	})
	srv.HTTP = pages(auth, names)
	return srv
}

// admit finds who asks for which room.
func admit(req *engine.Request, auth authority, rooms map[string]*room) (*visit, error) {
	token, ok := req.Cookie("session")
	if !ok {
		token, _ = strings.CutPrefix(req.Header("Authorization"), "Bearer ")
	}
	user, end, err := auth.find(req.Context(), token)
	if err != nil {
		return nil, err // 500; the log says why
	}
	if user == "" {
		return nil, engine.Reject(http.StatusUnauthorized, "log in first").WithHeader("WWW-Authenticate", `Bearer realm="chat"`)
	}
	room := rooms[req.PathValue("room")]
	if room == nil {
		return nil, engine.Reject(http.StatusNotFound, "there is no such room")
	}
	return &visit{user, end, room}, nil
}
