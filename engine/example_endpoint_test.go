package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
)

// talk opens a WebSocket, prints the first message, and closes it. If the server
// refuses, it prints how.
func talk(url string, header http.Header) {
	ws, err := engine.Dial(context.Background(), url, &engine.DialOptions{
		Header: header,
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, text []byte) {
			fmt.Println(string(text))
			_ = ws.Close(engine.StatusNormalClosure, "")
		}},
	})
	var refused *engine.StatusError
	switch {
	case errors.As(err, &refused):
		fmt.Printf("%d, WWW-Authenticate: %s, %s", refused.Status, refused.Header["Www-Authenticate"], refused.Body)
	case err != nil:
		fmt.Println(err)
	default:
		<-ws.Done()
	}
}

// account is who a token belongs to.
type account struct{ name string }

// findUser asks the database whose token this is. It gives up when ctx ends.
func findUser(ctx context.Context, token string) (*account, error) {
	if token != "s3cret" {
		return nil, ctx.Err()
	}
	return &account{name: "alice"}, ctx.Err()
}

// Authentication by a bearer token. The question to the database ends with the
// request; the answer is attached to the WebSocket.
func ExampleRequest() {
	srv := &engine.Server{
		BlockingUpgrade: true, // the database may take its time
		ShouldUpgrade: func(req *engine.Request) (http.Header, error) {
			token, _ := strings.CutPrefix(req.Header("Authorization"), "Bearer ")
			u, err := findUser(req.Context(), token)
			if err != nil {
				return nil, err // 500; the log says why
			}
			if u == nil {
				return nil, engine.Reject(http.StatusUnauthorized, "log in first").
					WithHeader("WWW-Authenticate", `Bearer realm="chat"`)
			}
			req.Value = u
			return nil, nil
		},
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
			_ = ws.SendText("hello " + engine.Get[*account](ws).name)
		},
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	talk("ws://"+addr.String()+"/", nil)
	talk("ws://"+addr.String()+"/", http.Header{"Authorization": {"Bearer s3cret"}})
	// Output:
	// 401, WWW-Authenticate: [Bearer realm="chat"], log in first
	// hello alice
}

// Two endpoints with callbacks and limits of their own, on the same loops.
func ExampleServer_Handle() {
	srv := new(engine.Server)
	srv.Handle("/room/{id}", &engine.Endpoint{
		Limits: engine.Limits{MaxMessage: 4 << 10},
		OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
			_ = ws.Subscribe("room " + req.PathValue("id")) // it is open
			_ = ws.SendText("this is room " + req.PathValue("id"))
		},
	})
	srv.Handle("/feed", &engine.Endpoint{
		Compression: &engine.Compression{},
		OnUpgrade:   func(ws *engine.WebSocket, _ *engine.Request) { _ = ws.SendText("this is the feed") },
	})
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	talk("ws://"+addr.String()+"/room/7", nil)
	talk("ws://"+addr.String()+"/feed", nil)
	// Output:
	// this is room 7
	// this is the feed
}

// A handler of a net/http server decides itself when it upgrades. What middleware set
// is in the answer, and its context in that of the request.
func ExampleServer_Upgrade() {
	srv := new(engine.Server)
	defer srv.Close()
	greeter := &engine.Endpoint{OnUpgrade: func(ws *engine.WebSocket, req *engine.Request) {
		_ = ws.SendText("hello " + req.PathValue("name"))
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("/hello/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "17")
		if err := srv.Upgrade(w, r, greeter); err != nil {
			fmt.Println("refused:", err) // it has been answered
		}
	})
	web := httptest.NewServer(mux)
	defer web.Close()

	talk("ws://"+web.Listener.Addr().String()+"/hello/alice", nil)
	// Output: hello alice
}
