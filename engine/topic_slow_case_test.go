package engine_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// fillTo sends to a peer that does not read until exactly total bytes wait.
func fillTo(t *testing.T, ws *engine.WebSocket, total int) {
	t.Helper()
	needs(t, fullSockets)
	const most = 32 << 10
	for {
		need, size := total-ws.Buffered(), most
		switch {
		case need == 0:
			return
		case need < 2:
			t.Fatalf("%d bytes wait, %d are wanted: cannot be filled", ws.Buffered(), total)
		case need < 128: // the kernel has taken a little more
			size = need - 2 // the header of up to 125 octets
		case need < 130:
			size = 64
		case need < 2*most && ws.Buffered() > 0:
			size = need - 4 // the header of 126 to 65535 octets
		}
		if err := ws.SendBinary(pattern(size)); err != nil {
			t.Fatal(err)
		}
	}
}

// slowCase is a subscriber that is slow, with room for ten messages of a
// hundred octets.
type slowCase struct {
	*room
	c      *rawClient
	ws     *engine.WebSocket
	errs   chan error
	closed chan engine.StatusCode
}

const (
	slowLimit = 1 << 20
	slowSize  = 100                      // of each message
	slowFrame = slowSize + 2             // as a frame
	slowRoom  = slowFrame*10 + 1         // in the queue
	keptRoom  = (slowFrame+100+2)*10 + 1 // where they can be dropped or replaced; keys have two octets at most
)

// The places where a policy can be set.
var slowScopes = map[string]func(*engine.Server, engine.Slow) func(*slowCase){
	"server": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = slow
		return func(*slowCase) {}
	},
	"topic": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}
		return func(s *slowCase) { s.srv.Topic("room").SetSlow(slow) }
	},
	"connection": func(srv *engine.Server, slow engine.Slow) func(*slowCase) {
		srv.Slow = engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}
		return func(s *slowCase) {
			s.srv.Topic("room").SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 2})
			s.ws.SetSlow(slow)
		}
	},
}

// eachScope runs test with a subscriber under policy, set in each place.
func eachScope(t *testing.T, policy engine.SlowPolicy, test func(*testing.T, *slowCase)) {
	for name, scope := range slowScopes {
		t.Run(name, func(t *testing.T) {
			s := &slowCase{errs: make(chan error, 10), closed: make(chan engine.StatusCode, 2)}
			srv := &engine.Server{Loops: 1, Limits: engine.Limits{CloseTimeout: patience, WriteTimeout: -1, PingInterval: -1}}
			srv.Callbacks = engine.Callbacks{
				OnGap: func(ws *engine.WebSocket, topic string, dropped uint64) {
					if err := ws.SendText(fmt.Sprintf("gap of %d in %s", dropped, topic)); err != nil {
						t.Error(err)
					}
				},
				OnError: func(_ *engine.WebSocket, err error) { s.errs <- err },
				OnClose: func(_ *engine.WebSocket, code engine.StatusCode, _ string) { s.closed <- code },
			}
			set := scope(srv, engine.Slow{Policy: policy, Limit: slowLimit})
			s.room = openRoom(t, srv)
			s.c, s.ws = s.joinNarrow()
			set(s)
			room := slowRoom
			if policy == engine.SlowDropOldest || policy == engine.SlowConflate {
				room = keptRoom
			}
			fillTo(t, s.ws, slowLimit-room)
			flushed(t, s.ws)
			if err := s.ws.Unsubscribe("room"); err != nil { // so that the first publish
				t.Fatal(err)
			}
			if err := s.ws.Subscribe("room"); err != nil { // finds it new, and slow
				t.Fatal(err)
			}
			test(t, s)
		})
	}
}

// text is a message that begins with words.
func (s *slowCase) text(words string) string {
	return words + strings.Repeat(".", max(0, slowSize-len(words)))
}

// offer publishes a message and says what should become of it.
func (s *slowCase) offer(words string, want engine.Delivery) {
	s.t.Helper()
	s.publish(s.text(words), want)
	flushed(s.t, s.ws)
}

func (s *slowCase) offerKeyed(key, words string, want engine.Delivery) {
	s.t.Helper()
	d, err := s.srv.Publish("room", engine.Message{Op: engine.Text, Data: []byte(s.text(words)), Key: key})
	if err != nil || d != want {
		s.t.Fatalf("publishing %q: %+v, %v; want %+v", words, d, err, want)
	}
	flushed(s.t, s.ws)
}

// texts reads until it has as many text messages, and returns the words they
// begin with.
func (s *slowCase) texts(n int) (words []string) {
	s.t.Helper()
	for len(words) < n {
		h, payload, err := s.c.readFrame()
		if err != nil {
			s.t.Fatalf("after %q: %v", words, err)
		}
		if h.OpCode == engine.Text {
			words = append(words, strings.TrimRight(string(payload), "."))
		}
	}
	return words
}

func (s *slowCase) wantTexts(want ...string) {
	s.t.Helper()
	if got := s.texts(len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
		s.t.Fatalf("got  %q\nwant %q", got, want)
	}
}

// wantNormal wants the subscriber to get what is published like any other.
func (s *slowCase) wantNormal() {
	s.t.Helper()
	eventually(s.t, "everything is sent", func() bool { return s.ws.Buffered() == 0 })
	flushed(s.t, s.ws)
	for i := range 3 {
		s.offer(fmt.Sprint("normal ", i), queued(1))
		s.wantTexts(fmt.Sprint("normal ", i))
	}
	if _, _, _, slow := engine.HubLeft(s.srv); slow != 0 {
		s.t.Errorf("%d subscriptions are still slow", slow)
	}
}

func numbers(what string, from, to int) (words []string) {
	for i := from; i <= to; i++ {
		words = append(words, fmt.Sprint(what, i))
	}
	return words
}
