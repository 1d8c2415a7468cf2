package engine_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// MaySubscribe is asked by each Subscribe, on the goroutine that calls it, before
// anything is done.
func TestMaySubscribeDecides(t *testing.T) {
	errPrivate := errors.New("private")
	asked := make(chan string, 10)
	srv := &engine.Server{MaySubscribe: func(ws *engine.WebSocket, topic string) error {
		asked <- topic
		_ = ws.Topics() // no lock is held
		_ = ws.Unsubscribe("nothing")
		if strings.HasPrefix(topic, "private") {
			return errPrivate
		}
		return nil
	}}
	r := openRoom(t, srv)
	r.retain("private", "", "a secret")
	c, ws := r.join()
	if err := ws.Subscribe("private"); !errors.Is(err, errPrivate) {
		t.Fatal(err)
	}
	if err := errors.Join(ws.Subscribe("public"), ws.Subscribe("public"), ws.SendText("end")); err != nil {
		t.Fatal(err)
	}
	wantAll(c, "end")
	for _, want := range []string{"room", "private", "public", "public"} {
		if got := within(t, "the question", asked); got != want {
			t.Errorf("asked about %q, want %q", got, want)
		}
	}
	names := ws.Topics()
	slices.Sort(names)
	if !slices.Equal(names, []string{"public", "room"}) {
		t.Errorf("it subscribes to %q", names)
	}
}

func TestTopicsAreKnownUntilTheEnd(t *testing.T) {
	r := openRoom(t, &engine.Server{})
	_, ws := r.join()
	if got := ws.Topics(); !slices.Equal(got, []string{"room"}) {
		t.Errorf("%q", got)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
	if got := ws.Topics(); len(got) > 0 {
		t.Errorf("%q after the end", got)
	}
	client := dialEngine(t, r.addr, nil)
	if got := client.Topics(); len(got) > 0 {
		t.Errorf("%q of a dialed connection", got)
	}
}

// Topic.Each reaches every open subscriber once, on its loop.
func TestEachOfATopicReachesItsSubscribers(t *testing.T) {
	const clients = 10
	r := openRoom(t, &engine.Server{Loops: 3})
	r.srv.Topic("nobody").Each(func(*engine.WebSocket) { t.Error("a subscriber of nobody") })
	want := make(map[*engine.WebSocket]bool)
	for i := range clients {
		_, ws := r.join()
		if i%3 == 0 {
			if err := ws.Unsubscribe("room"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want[ws] = true
	}
	seen := make(chan *engine.WebSocket, 2*clients)
	r.srv.Topic("room").Each(func(ws *engine.WebSocket) { seen <- ws })
	for range len(want) {
		ws := within(t, "a subscriber", seen)
		if !want[ws] {
			t.Error("seen twice, or no subscriber")
		}
		delete(want, ws)
	}
	engine.Turn(r.srv)
	if len(seen) > 0 {
		t.Error("more than the subscribers were seen")
	}
}
