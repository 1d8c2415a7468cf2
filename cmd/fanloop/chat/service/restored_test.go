package service_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// X16: an older data directory is restored, and the topic grows again: not as far as the
// position of a client, exactly so far, and past it. The client is reset each time, and gets
// no line of the other life.
func TestOlderDataDirectoryIsRestored(t *testing.T) {
	base := t.TempDir()
	dir := base + "/data"
	in := func(c *config.Config) { c.DataDir = dir }
	s, ctx := start(t, in)
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "1", "2", "3")
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(base+"/old", os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s, ctx = start(t, in)
	reader := connect(t, ctx, s, protocol.JSON, "reader")
	pos := reader.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	ann = connect(t, ctx, s, protocol.JSON, "ann")
	ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	ann.publish("lobby", "4", "5", "6")
	reader.messages(pos, 3)
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	for i, again := range [][]string{{"a"}, {"a", "b", "c"}, {"a", "b", "c", "d", "e"}} {
		dir = fmt.Sprint(base, "/restored", i)
		if err := os.CopyFS(dir, os.DirFS(base+"/old")); err != nil {
			t.Fatal(err)
		}
		s, ctx = start(t, in)
		bob := connect(t, ctx, s, protocol.JSON, "bob")
		bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
		bob.publish("lobby", again...)
		bob.saw(again[len(again)-1])
		back := connect(t, ctx, s, protocol.JSON, "reader")
		had := *pos
		got := back.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: &had, Last: 50})
		if want := append([]string{"1", "2", "3"}, again...); got.State != protocol.Reset || !slices.Equal(idsOf(got.Messages), want) {
			t.Errorf("%d lines in the other life: %q of %+v", len(again), idsOf(got.Messages), got)
		}
		bob.publish("lobby", "last")
		if ids := back.messages(got.Pos, 1); ids[0] != "last" {
			t.Errorf("%q", ids)
		}
		if err := s.Shutdown(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// X42: a stream that goes on is cut before its first event, again and again. The next one
// has connected with an id as its first event, misses no line, and is the only connection
// that is left of the user.
func TestStreamIsCutBeforeItsFirstEvent(t *testing.T) {
	s, ctx := start(t, nil)
	bob := connect(t, ctx, s, protocol.JSON, "bob")
	bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1})
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "ann"}
	first := openStream(t, ctx, s, hello, &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1})
	until[*protocol.Connected](first)
	in := &protocol.Subscribe{Ref: 2, Topic: "lobby", Attempt: 1, Pos: until[*protocol.Subscribed](first).Pos}
	var body []byte
	for _, c := range []protocol.Command{hello, in} {
		body, _ = protocol.JSON.AppendCommand(body, c)
	}
	request := fmt.Sprintf("POST /v1/stream HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nLast-Event-ID: %s\r\nContent-Length: %d\r\n\r\n%s",
		s.Addr(), first.session, len(body), body)
	for i := range 10 { // nothing of it is looked at
		cut, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := strings.NewReader(request).WriteTo(cut); err != nil {
			t.Fatal(err)
		}
		_ = cut.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, cut) // until the server is done with it: the next one is later
		_ = cut.Close()
		bob.publish("lobby", fmt.Sprint(i))
	}
	next := openStreamVia(t, ctx, "http://"+s.Addr(), map[string]string{"Last-Event-ID": first.session}, hello, in)
	if got, is := next.next().(*protocol.Connected); !is || got.Session == "" || next.session != got.Session || got.State == protocol.Fresh {
		t.Fatalf("the first event: %+v, id %q", got, next.session)
	}
	if got := until[*protocol.Subscribed](next); got.State != protocol.Resumed {
		t.Errorf("%+v", got)
	}
	for i := range 10 {
		if got := next.message(); got.ID != fmt.Sprint(i) {
			t.Errorf("%+v, want %d", got, i)
		}
	}
	for left := 0; left != 1; time.Sleep(time.Millisecond) {
		all, err := s.User(ctx, "ann")
		if err != nil {
			t.Fatal(err)
		}
		left = len(all)
	}
	if got := next.do(1, &protocol.Ping{Ref: 3}); got != http.StatusNoContent {
		t.Error(got)
	}
	until[*protocol.Pong](next)
}
