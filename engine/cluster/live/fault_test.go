package live_test

import (
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

// Topics of one server whose prefixes begin with each other would share topics of the
// engine, and each would take what the other has lost for its own: New refuses them.
func TestPrefixesDoNotOverlap(t *testing.T) {
	n := cluster.NewNode(clustertest.NewStore(clustertest.Options{}).Connect(), cluster.Config{})
	t.Cleanup(n.Close)
	server := &engine.Server{}
	make := func(prefix string) (topics *live.Topics, refused bool) {
		defer func() { refused = recover() != nil }()
		return live.New(n, server, live.Config{Encoder: encoder{}, Prefix: prefix}), false
	}
	first, refused := make("a:")
	if refused {
		t.Fatal("the first one is refused")
	}
	t.Cleanup(first.Close)
	for prefix, want := range map[string]bool{"a:": true, "a:b:": true, "a": true, "b:": false, "aa:": false} {
		topics, refused := make(prefix)
		if refused != want {
			t.Errorf("%q beside \"a:\": refused %v, want %v", prefix, refused, want)
		}
		if !refused {
			topics.Close()
		}
	}
	first.Close()
	again, refused := make("a:b:")
	if refused {
		t.Fatal("refused after the other was closed")
	}
	first.Close() // once more, which changes nothing
	if _, refused := make("a:"); !refused {
		t.Error("not refused")
	}
	again.Close()
	other := live.New(n, &engine.Server{}, live.Config{Encoder: encoder{}, Prefix: "a:"})
	other.Close()
}

// A topic of the engine whose name begins with the prefix, and which is the application's
// own, is lost to the application.
func TestForeignTopicsAreNotSwallowed(t *testing.T) {
	n := cluster.NewNode(clustertest.NewStore(clustertest.Options{}).Connect(), cluster.Config{})
	t.Cleanup(n.Close)
	topics := live.New(n, &engine.Server{}, live.Config{Encoder: encoder{}})
	t.Cleanup(topics.Close)
	var tags []any
	c := topics.Callbacks(engine.Callbacks{OnUnsubscribe: func(_ *engine.WebSocket, _ string, tag any) { tags = append(tags, tag) }})
	c.OnUnsubscribe(nil, "live:own", "a tag")
	c.OnUnsubscribe(nil, "live:own", nil)
	c.OnUnsubscribe(nil, "another", nil)
	if len(tags) != 3 {
		t.Errorf("the application was called with %v", tags)
	}
}

// faulty is an encoder whose methods do not return as asked.
type faulty struct {
	encoder
	message, page func() // nil: they return
	poison        string // or only for this message
}

func (f *faulty) fails(data string) bool { return f.poison == "" || f.poison == data }

func (f *faulty) Message(m *cluster.Message) engine.Message {
	if f.message != nil && f.fails(string(m.Data)) {
		f.message()
	}
	return f.encoder.Message(m)
}

func (f *faulty) Page(p *live.Page) engine.Message {
	if f.page != nil && f.poison == "" {
		f.page()
	}
	for i := range p.Messages {
		if f.page != nil && f.fails(string(p.Messages[i].Data)) {
			f.page()
		}
	}
	return f.encoder.Page(p)
}

// ends are the ways not to return.
var ends = map[string]func(){
	"panic":  func() { panic("a fault of the application") },
	"Goexit": runtime.Goexit,
}

// closesWith reads until the connection is closed, with 1011.
func closesWith(t *testing.T, p *peer) {
	t.Helper()
	for {
		_, err := p.read()
		if err == nil {
			continue
		}
		if !errors.Is(err, errClosing) || !strings.Contains(err.Error(), "\\x03\\xf3") {
			t.Errorf("read: %v, want 1011", err)
		}
		return
	}
}

// works reports by the test whether a new connection gets what is published.
func works(t *testing.T, s *site, topic string) {
	t.Helper()
	for range 10 { // more than there are workers
		p := s.dial()
		s.join(p, topic, cluster.Position{})
		id := "after " + string(rune('a'+s.next.Add(1)))
		until(t, "all are live", func() bool { return s.topics.Stats().CatchingUp == 0 })
		put(t, s.conn, topic, id)
		s.wants(p, nil, id)
		p.close()
	}
}

// A MaySubscribe that does not return ends its connection with 1011, and so does an
// Ended. Everything else goes on.
func TestConnectionEndsWithCallback(t *testing.T) {
	for how, end := range ends {
		for _, at := range []string{"MaySubscribe", "Ended"} {
			t.Run(at+" "+how, func(t *testing.T) {
				o := options{}
				var faults atomic.Bool
				faults.Store(true)
				o.maySubscribe = func(*engine.WebSocket, string) error {
					switch {
					case !faults.Load():
						return nil
					case at == "Ended":
						return errors.New("refused")
					}
					end()
					return nil
				}
				o.live.Ended = func(*engine.WebSocket, string, error) {
					if at == "Ended" && faults.Load() {
						end()
					}
				}
				s := openSite(t, clustertest.NewStore(clustertest.Options{}).Connect(), o)
				for range 10 { // more than there are workers
					p := s.dial()
					s.join(p, "room", cluster.Position{})
					closesWith(t, p)
				}
				until(t, "nobody subscribes", func() bool { return s.topics.Stats().Topics == 0 })
				if got := s.server.Stats().Panics; got != 10 {
					t.Errorf("%d panics are counted, want 10", got)
				}
				faults.Store(false)
				works(t, s, "room")
			})
		}
	}
}

// A message whose encoder does not return is left out for those who would get it: they get
// a Reset, and what follows.
func TestMessageThatCannotBeEncoded(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			f := &faulty{message: end, page: end, poison: "poison"}
			o := options{}
			o.live.Encoder = f
			s := openSite(t, clustertest.NewStore(clustertest.Options{}).Connect(), o)
			start := put(t, s.conn, "room", "m1")
			p, q := s.dial(), s.dial()
			for _, p := range []*peer{p, q} {
				s.join(p, "room", cluster.Position{})
			}
			until(t, "both are live", func() bool { return s.topics.Stats().Live == 2 })
			put(t, s.conn, "room", "m2", "poison", "m3", "m4")
			for _, p := range []*peer{p, q} {
				s.wants(p, nil, "m2")
				if got := s.must(p); !got.Reset || len(got.Messages) > 0 {
					t.Errorf("for the message: %+v", got)
				}
				s.wants(p, nil, "m3", "m4")
			}
			behind := s.dial() // who catches up
			got := s.join(behind, "room", start)
			if !got.Reset {
				t.Errorf("the first page: %+v", got)
			}
			until(t, "all are live", func() bool { return s.topics.Stats().Live == 3 })
			put(t, s.conn, "room", "m5")
			s.wants(behind, nil, "m5")
			works(t, s, "room")
		})
	}
}

// A connection that has ended does not become a subscriber, whose end nobody would notice
// while the broker is away.
func TestSubscribeAfterTheEnd(t *testing.T) {
	conn := clustertest.NewStore(clustertest.Options{}).Connect()
	s := openSite(t, conn, options{})
	conn.Cut()
	p := s.dial()
	ws := <-s.opened
	p.close()
	<-ws.Done()
	if err := s.topics.Subscribe(ws, "room", cluster.Position{}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("Subscribe: %v, want engine.ErrClosed", err)
	}
	if got := s.topics.Stats(); got.Topics != 0 || got.CatchingUp != 0 {
		t.Errorf("%+v", got)
	}
}

// Where not even the page without messages can be encoded, the connection ends with 1011.
func TestPageThatCannotBeEncoded(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			o := options{}
			o.live.Encoder = &faulty{message: end, page: end}
			s := openSite(t, clustertest.NewStore(clustertest.Options{}).Connect(), o)
			start := put(t, s.conn, "room", numbers(1, 3)...)
			for _, from := range []cluster.Position{{}, start} {
				p := s.dial()
				if err := p.ask(command{Topic: "room", From: from}); err != nil {
					t.Fatal(err)
				}
				closesWith(t, p)
			}
			until(t, "nobody subscribes", func() bool { return s.topics.Stats().Topics == 0 })
		})
	}
}
