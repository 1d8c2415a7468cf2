package service_test

import (
	"bufio"
	"bytes"
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// stream is a client by Server-Sent Events and POST.
type stream struct {
	t       *testing.T
	ctx     context.Context
	base    string
	lines   *bufio.Scanner
	session string
	frames  []protocol.Frame
}

func post(t *testing.T, ctx context.Context, url string, header map[string]string, commands ...protocol.Command) *http.Response {
	t.Helper()
	var body []byte
	for _, c := range commands {
		var err error
		if body, err = protocol.JSON.AppendCommand(body, c); err != nil {
			t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close(); http.DefaultClient.CloseIdleConnections() })
	return resp
}

// openStream begins a stream with the commands of its first message.
func openStream(t *testing.T, ctx context.Context, s *service.Service, first ...protocol.Command) *stream {
	t.Helper()
	base := "http://" + s.Addr()
	resp := post(t, ctx, base+"/v1/stream", nil, first...)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(resp.Status, resp.Header)
	}
	c := &stream{t: t, ctx: ctx, base: base, lines: bufio.NewScanner(resp.Body)}
	c.lines.Buffer(nil, 1<<20)
	return c
}

// next is the next frame; nil: the stream has ended.
func (c *stream) next() protocol.Frame {
	c.t.Helper()
	for len(c.frames) == 0 {
		if !c.lines.Scan() {
			return nil
		}
		if id, is := strings.CutPrefix(c.lines.Text(), "id: "); is {
			c.session = id
		}
		data, _ := strings.CutPrefix(c.lines.Text(), "data: ")
		if data == c.lines.Text() {
			continue
		}
		for f, err := range protocol.Frames(protocol.JSON, []byte(data)) {
			if err != nil {
				c.t.Fatal(err)
			}
			c.frames = append(c.frames, f)
		}
	}
	f := c.frames[0]
	c.frames = c.frames[1:]
	return f
}

func until[F protocol.Frame](c *stream) F {
	c.t.Helper()
	for {
		switch f := c.next().(type) {
		case F:
			return f
		case nil:
			c.t.Fatal("the stream has ended")
		case *protocol.Error:
			c.t.Fatalf("%+v", f)
		}
	}
}

// message is the next message, live or not.
func (c *stream) message() *protocol.Message {
	c.t.Helper()
	for {
		f := c.next()
		if f == nil {
			c.t.Fatal("the stream has ended")
		}
		c.frames = append(single(f), c.frames...)
		if len(c.frames) == 0 {
			continue // a list of none
		}
		f, c.frames = c.frames[0], c.frames[1:]
		switch f := f.(type) {
		case *protocol.Message:
			return f
		case *protocol.Error:
			c.t.Fatalf("%+v", f)
		}
	}
}

// do posts commands under a number, and returns the status.
func (c *stream) do(number int, commands ...protocol.Command) int {
	c.t.Helper()
	header := map[string]string{"Fanloop-Session": c.session, "Fanloop-Seq": strconv.Itoa(number)}
	return post(c.t, c.ctx, c.base+"/v1/commands", header, commands...).StatusCode
}

// A client goes from a WebSocket to a stream with its position and misses nothing; a
// POST that is repeated is carried out once.
func TestStreamGoesOnWhereTheWebSocketWas(t *testing.T) {
	s, ctx := start(t, nil)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.JSON, "bob")
	pos := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1")
	bob.messages(pos, 1)
	bob.ws.CloseNow()
	ann.publish("lobby", "2", "3")

	again := openStream(t, ctx, s, &protocol.Connect{Ref: 1, Version: 1, User: "bob"}, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1, Pos: pos})
	if got := until[*protocol.Connected](again); got.Session != again.session || got.User != "bob" {
		t.Errorf("%+v, session %q", got, again.session)
	}
	if got := until[*protocol.Subscribed](again); got.State != protocol.Resumed {
		t.Errorf("%+v", got)
	}
	say := func(id string) *protocol.Publish {
		return &protocol.Publish{Topic: "lobby", ID: id, Data: protocol.Data(`1`)}
	}
	for _, c := range []struct {
		number, status int
		id             string
	}{{1, 204, "4"}, {1, 204, "never"}, {3, 409, "never"}, {2, 204, "5"}} {
		if got := again.do(c.number, say(c.id)); got != c.status {
			t.Errorf("POST %d: %d, want %d", c.number, got, c.status)
		}
	}
	var ids string
	take := func(m *protocol.Message) {
		if pos.Follow(m) != protocol.Take {
			t.Fatalf("%+v does not follow %+v", m, pos)
		}
		ids += m.ID
	}
	for !strings.HasSuffix(ids, "5") {
		switch f := again.next().(type) {
		case *protocol.Message:
			take(f)
		case *protocol.Messages:
			for i := range f.Messages {
				take(&f.Messages[i])
			}
		case nil:
			t.Fatal("the stream has ended")
		}
	}
	if ids != "2345" {
		t.Error(ids)
	}
}

// X42: a POST of a stream that comes when the client has resumed with another one is refused,
// on each node, and takes no number of the new stream.
func TestALatePostOfAnEarlierStream(t *testing.T) {
	first, second, ctx := two(t, nil)
	open := func(session string) *stream {
		t.Helper()
		c := openStream(t, ctx, first, &protocol.Connect{Ref: 1, Version: 1, User: "ann", Session: session}, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1})
		until[*protocol.Subscribed](c)
		return c
	}
	say := func(id string) *protocol.Publish {
		return &protocol.Publish{Topic: "lobby", ID: id, Data: protocol.Data(`1`)}
	}
	was := open("")
	now := open(was.session)
	until[*protocol.Closing](was)
	for was.next() != nil { // its end
	}
	for _, node := range []*service.Service{first, second} {
		was.base = "http://" + node.Addr()
		if got := was.do(1, say("late")); got != http.StatusNotFound {
			t.Errorf("the late POST: %d", got)
		}
	}
	if got := now.do(1, say("new")); got != http.StatusNoContent {
		t.Error(got)
	}
	if got := now.message(); got.ID != "new" {
		t.Errorf("%+v", got)
	}
	socket := dial(t, ctx, first, protocol.JSON)
	socket.send(&protocol.Connect{Ref: 1, Version: 1, User: "ann", Session: now.session})
	if got := await[*protocol.Connected](socket); got.State != protocol.Resumed || got.Session == now.session {
		t.Errorf("%+v", got)
	}
}

// What a stream does not take is answered by a status that says what to do.
func TestStreamRefuses(t *testing.T) {
	s, ctx := start(t, nil)
	base := "http://" + s.Addr()
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "ann"}
	for name, c := range map[string]struct {
		path   string
		header map[string]string
		status int
	}{
		"foreign page, stream":   {"/v1/stream", map[string]string{"Origin": "https://evil.example"}, 403},
		"foreign page, commands": {"/v1/commands", map[string]string{"Origin": "https://evil.example"}, 403},
		"no JSON":                {"/v1/stream", map[string]string{"Content-Type": "text/plain"}, 415},
		"unknown session":        {"/v1/commands", map[string]string{"Fanloop-Session": "s.x", "Fanloop-Seq": "1"}, 404},
		"no session":             {"/v1/commands", map[string]string{"Fanloop-Seq": "1"}, 404},
	} {
		if got := post(t, ctx, base+c.path, c.header, hello).StatusCode; got != c.status {
			t.Errorf("%s: %d, want %d", name, got, c.status)
		}
	}
	large := &protocol.Publish{Topic: "lobby", ID: "x", Data: protocol.Data(`"` + strings.Repeat("x", 1<<17) + `"`)}
	if got := post(t, ctx, base+"/v1/stream", nil, large).StatusCode; got != http.StatusRequestEntityTooLarge {
		t.Error(got)
	}
	if got := post(t, ctx, base+"/v1/stream", nil).StatusCode; got != http.StatusBadRequest {
		t.Errorf("a stream that begins with nothing: %d", got)
	}
	ann := openStream(t, ctx, s, hello)
	until[*protocol.Connected](ann)
	for _, seq := range []string{"", "0", "01", "+1", "-1", "1.0", "1e0", "0x1", "18446744073709551616", "one"} {
		header := map[string]string{"Fanloop-Session": ann.session, "Fanloop-Seq": seq}
		if got := post(t, ctx, base+"/v1/commands", header, &protocol.Ping{Ref: 5}).StatusCode; got != http.StatusBadRequest {
			t.Errorf("number %q: %d", seq, got)
		}
	}
	proxied := openStreamVia(t, ctx, base, map[string]string{"X-Forwarded-For": "192.0.2.1"}, hello)
	if e, is := proxied.next().(*protocol.Error); !is || e.Code != protocol.Unauthorized {
		t.Errorf("%+v", e)
	}
}

func openStreamVia(t *testing.T, ctx context.Context, base string, header map[string]string, first ...protocol.Command) *stream {
	t.Helper()
	c := &stream{t: t, ctx: ctx, base: base, lines: bufio.NewScanner(post(t, ctx, base+"/v1/stream", header, first...).Body)}
	return c
}

// A node that ends says so on streams, too.
func TestShutdownEndsStreams(t *testing.T) {
	s, ctx := start(t, nil)
	ann := openStream(t, ctx, s, &protocol.Connect{Ref: 1, Version: 1, User: "ann"})
	until[*protocol.Connected](ann)
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }()
	if got := until[*protocol.Closing](ann); got.Code != protocol.Draining {
		t.Errorf("%+v", got)
	}
	if f := ann.next(); f != nil {
		t.Errorf("%+v behind the last frame", f)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// X42: what is answered in front of connected does not take the session of the stream away.
func TestAStreamHasItsSessionBehindAnError(t *testing.T) {
	s, ctx := start(t, nil)
	for name, first := range map[string]protocol.Command{
		"before it is connected": &protocol.Ping{Ref: 8}, "a name that is none": &protocol.Subscribe{Ref: 8, Topic: " ", Attempt: 1},
	} {
		c := openStream(t, ctx, s, first, &protocol.Connect{Ref: 1, Version: 1, User: "ann"})
		if fault, is := c.next().(*protocol.Error); !is || fault.Ref != 8 {
			t.Fatalf("%s: %+v", name, fault)
		}
		connected := until[*protocol.Connected](c)
		if c.session == "" || c.session != connected.Session {
			t.Errorf("%s: the id is %q, the session %q", name, c.session, connected.Session)
		}
		if status := c.do(1, &protocol.Ping{Ref: 9}); status != http.StatusNoContent {
			t.Fatalf("%s: a POST of the session has %d", name, status)
		}
		until[*protocol.Pong](c)
	}
}
