package service_test

import (
	"bytes"
	"errors"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine"
)

// once is a rate that lets through a burst, and nothing more while a test runs.
func once(burst float64) config.Rate { return config.Rate{PerSecond: 0.0001, Burst: burst} }

// Messages without a frame cost commands of the address, before connect too, and who goes on
// is closed.
func TestMessagesWithoutAFrameCount(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		c.Limits.Address.Commands, c.Limits.User.Commands, c.Limits.Topics = once(3), once(4), 4
	})
	c := dial(t, ctx, s, protocol.JSON)
	for i := range 3 + 4 + 1 {
		if err := c.ws.Write(ctx, engine.Text, []byte(strings.Repeat("\n", i))); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		if got := c.failure(); got.Code != protocol.RateLimited {
			t.Errorf("%+v", got)
		}
	}
	c.closes(protocol.RateLimited)
}

// Their bytes cost too, those of the address and those of the user.
func TestBytesOfMessagesWithoutAFrameCount(t *testing.T) {
	for name, limit := range map[string]func(*config.Config){
		"address": func(c *config.Config) { c.Limits.Address.Bytes = once(3000) },
		"user":    func(c *config.Config) { c.Limits.User.Bytes = once(3000) },
	} {
		s, ctx := start(t, limit)
		c := connect(t, ctx, s, protocol.JSON, "ann")
		for range 2 {
			if err := c.ws.Write(ctx, engine.Text, bytes.Repeat([]byte("\n"), 2000)); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.failure(); got.Code != protocol.RateLimited {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A POST costs a command of its address and its bytes, whatever the answer is.
func TestPostsCount(t *testing.T) {
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "ann"}
	for name, tt := range map[string]struct {
		limit  func(*config.Config)
		path   string
		header map[string]string
		status int // before the limit
	}{
		"unknown session": {func(c *config.Config) { c.Limits.Address.Commands = once(3) }, "/v1/commands", map[string]string{"Fanloop-Session": "s.x", "Fanloop-Seq": "1"}, 404},
		"no number":       {func(c *config.Config) { c.Limits.Address.Commands = once(3) }, "/v1/commands", nil, 400},
		"no JSON":         {func(c *config.Config) { c.Limits.Address.Commands = once(3) }, "/v1/stream", map[string]string{"Content-Type": "text/plain"}, 415},
		"bytes":           {func(c *config.Config) { c.Limits.Address.Bytes = once(3 * 50) }, "/v1/commands", map[string]string{"Fanloop-Session": "s.x", "Fanloop-Seq": "1"}, 404},
	} {
		s, ctx := start(t, tt.limit)
		statuses := func(n int) (all []int, last *http.Response) {
			for range n {
				last = post(t, ctx, "http://"+s.Addr()+tt.path, tt.header, hello)
				all = append(all, last.StatusCode)
			}
			return all, last
		}
		got, last := statuses(10)
		if got[0] != tt.status || last.StatusCode != http.StatusTooManyRequests {
			t.Errorf("%s: %v", name, got)
		}
		if after, err := strconv.Atoi(last.Header.Get("Retry-After")); err != nil || after < 1 {
			t.Errorf("%s: %v", name, last.Header)
		}
	}
}

// POSTs without a frame cost commands of the stream that they are for.
func TestPostsWithoutAFrameCount(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) { c.Limits.User.Commands, c.Limits.Topics = once(4), 4 })
	c := openStream(t, ctx, s, &protocol.Connect{Ref: 1, Version: 1, User: "ann"})
	until[*protocol.Connected](c)
	for i := range 4 + 4 + 1 {
		if got := c.do(i + 1); got != http.StatusNoContent {
			t.Fatalf("POST %d: %d", i+1, got)
		}
	}
	for {
		switch f := c.next().(type) {
		case *protocol.Error:
			if f.Code != protocol.RateLimited {
				t.Fatalf("%+v", f)
			}
		case *protocol.Closing:
			if f.Code != protocol.RateLimited {
				t.Errorf("%+v", f)
			}
			return
		case nil:
			t.Fatal("the stream ended without a word")
		}
	}
}

// What costs no command is bounded: pings, and the frames of one message.
func TestFramesOfTheWebSocketAreBounded(t *testing.T) {
	s, ctx := start(t, nil)
	for name, flood := range map[string]func(ws *engine.WebSocket) error{
		"pings":     func(ws *engine.WebSocket) error { return ws.Ping(nil) },
		"fragments": func(ws *engine.WebSocket) error { return ws.SendFragment(engine.Text, nil, false) },
	} {
		c := connect(t, ctx, s, protocol.JSON, "ann")
		for range 5000 { // more than are saved up in a minute
			if flood(c.ws.WebSocket()) != nil {
				break // it is closed already
			}
		}
		_, _, err := c.ws.Read(ctx)
		var closed *engine.CloseError
		if !errors.As(err, &closed) || closed.Code != engine.StatusPolicyViolation {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who has not connected has no place for a message over limits.message; afterwards one is
// answered.
func TestMessagesBeforeConnectAreSmall(t *testing.T) {
	s, ctx := start(t, nil)
	message := func(size int) []byte {
		hello := `{"type":"connect","ref":1,"version":1,"user":"ann"}`
		return []byte(hello + strings.Repeat("\n", size-len(hello)))
	}
	limit := protocol.DefaultLimits().Message
	c := dial(t, ctx, s, protocol.JSON)
	if err := c.ws.Write(ctx, engine.Text, message(limit)); err != nil {
		t.Fatal(err)
	}
	await[*protocol.Connected](c)
	for range 2 {
		if err := c.ws.Write(ctx, engine.Text, message(2*limit)); err != nil {
			t.Fatal(err)
		}
		if got := c.failure(); got.Code != protocol.TooLarge {
			t.Errorf("%+v", got)
		}
	}
	early := dial(t, ctx, s, protocol.JSON)
	_ = early.ws.Write(ctx, engine.Text, message(limit+1)) // it may be closed before all of it is sent
	_, got, err := early.ws.Read(ctx)
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.StatusMessageTooBig {
		t.Errorf("%q, %v", got, err)
	}
}

// A keyed value has at most 4096 bytes, as PROTOCOL.md says; a larger one is answered.
func TestKeyedValuesAreSmall(t *testing.T) {
	s, ctx := start(t, nil)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	set := func(bytes int) {
		ann.send(&protocol.Set{Ref: 3, Topic: "lobby", Kind: protocol.KindTyping, Data: protocol.Data(`"` + strings.Repeat("x", bytes-2) + `"`)})
	}
	set(4096)
	await[*protocol.OK](ann)
	set(4097)
	if got := ann.failure(); got.Ref != 3 || got.Code != protocol.TooLarge || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}
}

// Messages that are begun and not ended take no more of a node than a quarter of its memory, the
// default of Limits.MaxMemory: those that hold most are dropped, and nobody else.
func TestUnfinishedMessagesAreBounded(t *testing.T) {
	const budget, senders, size = 16 << 20, 24, 2<<20 - 1
	before := debug.SetMemoryLimit(4 * budget)
	s, ctx := start(t, nil)
	debug.SetMemoryLimit(before)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	var open []*client
	for range senders {
		c := connect(t, ctx, s, protocol.JSON, "bob")
		if err := c.ws.WebSocket().SendFragment(engine.Text, make([]byte, size), false); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for most := budget / size; len(open) > most; time.Sleep(time.Millisecond) {
		open = slices.DeleteFunc(open, func(c *client) bool { return c.ws.Context().Err() != nil })
		if held := service.Memory(s).Waiting(); held > 2*budget || ctx.Err() != nil {
			t.Fatalf("%d connections hold %d bytes; want %d at most", len(open), held, budget)
		}
	}
	ann.publish("lobby", "on")
	ann.saw("on")
}

// Clients are told the rate that holds: where a user has none, that of the address.
func TestClientsAreToldTheRateThatHolds(t *testing.T) {
	for name, tt := range map[string]struct {
		change      func(*config.Limits)
		rate, burst int
	}{
		"of the user": {func(l *config.Limits) { l.User.Commands = config.Rate{PerSecond: 7, Burst: 9} }, 7, 9},
		"of the address": {func(l *config.Limits) {
			l.User.Commands, l.Address.Commands = config.Rate{}, config.Rate{PerSecond: 70, Burst: 90}
		}, 70, 90},
		"none": {func(l *config.Limits) { l.User.Commands, l.Address.Commands = config.Rate{}, config.Rate{} }, 10_000, 10_000},
	} {
		s, ctx := start(t, func(c *config.Config) { tt.change(&c.Limits) })
		c := dial(t, ctx, s, protocol.JSON)
		c.send(&protocol.Connect{Ref: 1, Version: protocol.Version, User: "ann"})
		if got := await[*protocol.Connected](c).Limits; got.Rate != tt.rate || got.Burst != tt.burst {
			t.Errorf("%s: %d and %d, want %d and %d", name, got.Rate, got.Burst, tt.rate, tt.burst)
		}
	}
}
