package service_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// X51: a topic whose offsets cross 2^53 while it is read: live, after a reconnect from in
// front of it, and in pages both ways, the lines come once and in order, in both encodings.
func TestOffsetsCrossTwoToThe53(t *testing.T) {
	const border = 1 << 53
	server, err := natsserver.Start(natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	shared := func(c *config.Config) { c.NATS = server.URL() }
	before, ctx := start(t, shared) // makes the streams
	if err := before.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	beginAt(t, ctx, server.URL(), border-5)
	s, _ := start(t, shared)
	ann, bob := connect(t, ctx, s, protocol.JSON, "ann"), connect(t, ctx, s, protocol.CBOR, "bob")
	began := ann.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	live := bob.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1}).Pos
	var want []string
	for i := range 10 {
		want = append(want, fmt.Sprint(i))
		ann.publish("lobby", want[i])
	}
	if got := bob.messages(live, 10); !slices.Equal(got, want) || live.Offset <= border || live.Offset > border+10 {
		t.Errorf("live: %q up to %d", got, live.Offset)
	}
	for _, e := range []protocol.Encoding{protocol.JSON, protocol.CBOR} {
		pos := *began
		again := connect(t, ctx, s, e, "cy")
		if got := again.subscribe(protocol.Subscribe{Topic: "lobby", Attempt: 1, Pos: &pos}); got.State != protocol.Resumed {
			t.Errorf("%+v", got)
		}
		if got := again.messages(&pos, 10); !slices.Equal(got, want) || pos.Offset != live.Offset {
			t.Errorf("resumed: %q up to %+v", got, pos)
		}
		last := history(again, protocol.History{Topic: "lobby", Limit: 3})
		front := history(again, protocol.History{Topic: "lobby", Before: last.Back, Limit: 7})
		if got := append(idsOf(front.Messages), idsOf(last.Messages)...); !slices.Equal(got, want) {
			t.Errorf("back: %q", got)
		}
		behind := history(again, protocol.History{Topic: "lobby", After: front.Back, Limit: 20})
		if got := idsOf(behind.Messages); !slices.Equal(got, want[1:]) {
			t.Errorf("forward: %q", got)
		}
	}
}

// beginAt makes the streams of messages anew, from a sequence on.
func beginAt(t *testing.T, ctx context.Context, url string, sequence uint64) {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	streams := 0
	names := js.StreamNames(ctx)
	for name := range names.Name() {
		if strings.HasPrefix(name, "KV_") {
			continue
		}
		stream, err := js.Stream(ctx, name)
		if err != nil {
			t.Fatal(err)
		}
		again := stream.CachedInfo().Config
		again.FirstSeq = sequence
		if err := js.DeleteStream(ctx, name); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(ctx, again); err != nil {
			t.Fatal(err)
		}
		streams++
	}
	if names.Err() != nil || streams == 0 {
		t.Fatal(names.Err(), streams)
	}
}
