//go:build !portable

package engine_test

import (
	"net"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// A connection that sends nothing takes no place of MaxConnections. It would after some seconds,
// so a machine that stood still says nothing.
func TestASilentClientTakesNoPlaceWhileAcceptingIsDeferred(t *testing.T) {
	srv := &engine.Server{Loops: 1, Limits: engine.Limits{MaxConnections: 1}}
	addr := listenWith(t, srv, "127.0.0.1:0", engine.ListenOptions{DeferAccept: true})
	began := time.Now()
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	ws, err := engine.Dial(t.Context(), "ws://"+addr, nil)
	if time.Since(began) > 2*time.Second {
		t.Skip("the machine is too slow for this")
	}
	if err != nil {
		t.Fatal("the only place is taken:", err)
	}
	ws.CloseNow()
}
