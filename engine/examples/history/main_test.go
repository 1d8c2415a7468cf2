package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/engine/examples/internal/leak"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// serve runs a node that ends with the test, and returns its address.
func serve(t *testing.T, ctx context.Context, url string) string {
	t.Helper()
	n, err := open(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	ln, err := n.server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.server.Close() })
	return ln.String()
}

// client reads the room "lobby".
type client struct {
	ws  *pull.Conn
	pos cluster.Position
}

func (c *client) enter(t *testing.T, ctx context.Context, addr string) {
	t.Helper()
	var err error
	if c.ws, err = pull.Dial(ctx, "ws://"+addr, nil); err != nil {
		t.Fatal(err)
	}
	if err := pull.WriteJSON(ctx, c.ws, command{Room: "lobby", From: c.pos}); err != nil {
		t.Fatal(err)
	}
}

func (c *client) leave() {
	c.ws.CloseNow()
	<-c.ws.WebSocket().Done()
}

// read returns the next n lines.
func (c *client) read(t *testing.T, ctx context.Context, n int) (lines []string) {
	t.Helper()
	for first := true; first || len(lines) < n; first = false {
		p, err := pull.ReadJSON[page](ctx, c.ws)
		if err != nil {
			t.Fatal(err)
		}
		if p.Reset {
			t.Fatalf("%+v", p)
		}
		for _, l := range p.Lines {
			lines = append(lines, l.Text)
		}
		c.pos = p.Pos
	}
	return lines
}

// A client that was away goes on at another node with what came meanwhile.
func TestClientGoesOnAtAnotherNode(t *testing.T) {
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	one, two := serve(t, ctx, server.URL()), serve(t, ctx, server.URL())
	talker := &client{}
	talker.enter(t, ctx, two)
	defer talker.leave()
	talker.read(t, ctx, 0) // the answer: from now on
	say := func(from, to int) (want []string) {
		for i := from; i < to; i++ {
			text := fmt.Sprint("line ", i)
			if err := pull.WriteJSON(ctx, talker.ws, command{Room: "lobby", Say: text}); err != nil {
				t.Fatal(err)
			}
			if got := talker.read(t, ctx, 1); got[0] != text {
				t.Errorf("%q", got)
			}
			want = append(want, text)
		}
		return want
	}
	reader := &client{}
	reader.enter(t, ctx, one)
	reader.read(t, ctx, 0)
	want := say(0, 5)
	if got := reader.read(t, ctx, 5); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	reader.leave()
	missed := say(5, 12)
	reader.enter(t, ctx, two)
	defer reader.leave()
	if got := reader.read(t, ctx, 7); !slices.Equal(got, missed) {
		t.Errorf("%q", got)
	}
}
