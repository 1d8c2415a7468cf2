package service_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
)

// X37: a user, a session and a token are revoked on the first node, with a WebSocket on the
// second and a stream on the third. Both end with a code that stops retries, what comes with
// the same token is refused on each node, and who is not concerned stays.
func TestRevokedOnThreeNodes(t *testing.T) {
	nodes, ctx := three(t, withAccounts)
	for i, r := range []revoke.Revocation{
		{Kind: revoke.User, Name: "ann0"}, {Kind: revoke.Session, Name: "sid1"}, {Kind: revoke.Token, Name: "jti2"},
	} {
		text := token(t, time.Hour, jwt.MapClaims{"sub": fmt.Sprint("ann", i), "sid": fmt.Sprint("sid", i), "jti": fmt.Sprint("jti", i)})
		other := enter(t, ctx, nodes[1], token(t, time.Hour, jwt.MapClaims{"sub": fmt.Sprint("bob", i), "sid": "other", "jti": fmt.Sprint("other", i)}))
		socket := enter(t, ctx, nodes[1], text)
		stream := openStream(t, ctx, nodes[2], &protocol.Connect{Ref: 1, Version: 1, Token: text})
		until[*protocol.Connected](stream)
		socket.send(&protocol.Refresh{Ref: 5, Token: text}) // may be under way
		if err := nodes[0].Revoke(ctx, r); err != nil {
			t.Fatal(err)
		}
		for {
			if f, is := socket.next().(*protocol.Closing); is {
				if f.Code != protocol.Revoked || f.Retry != protocol.Never {
					t.Errorf("%v: %+v", r.Kind, f)
				}
				break
			}
		}
		if got := until[*protocol.Closing](stream); got.Code != protocol.Revoked || got.Retry != protocol.Never {
			t.Errorf("%v: %+v", r.Kind, got)
		}
		for _, node := range nodes {
			again := dial(t, ctx, node, protocol.JSON)
			again.send(&protocol.Connect{Ref: 1, Version: 1, Token: text})
			if got := again.failure(); got.Code != protocol.Revoked || got.Retry != protocol.Never {
				t.Errorf("%v: %+v", r.Kind, got)
			}
		}
		other.send(&protocol.Ping{Ref: 6})
		await[*protocol.Pong](other)
	}
}

// X37: a handshake, and a refresh, about which the backend was asked before the user was
// revoked, and that it allows afterwards, end with the revocation.
func TestRevokedWhileTheBackendIsAsked(t *testing.T) {
	held, release := make(chan struct{}, 10), make(chan struct{})
	free := sync.OnceFunc(func() { close(release) })
	decide := func(q asked) string {
		if q.Token == "held" {
			held <- struct{}{}
			<-release
		}
		return `{"allow":true,"user":"ann"}`
	}
	first, second, ctx := two(t, func(c *config.Config) { withBackend(t, decide, "connect", "refresh")(c) })
	t.Cleanup(free)
	refreshing := dial(t, ctx, second, protocol.JSON)
	refreshing.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
	await[*protocol.Connected](refreshing)
	refreshing.send(&protocol.Refresh{Ref: 2, Token: "held"})
	<-held
	coming := dial(t, ctx, second, protocol.JSON)
	coming.send(&protocol.Connect{Ref: 1, Version: 1, Token: "held"})
	<-held
	// A revocation counts in whole seconds. The backend answers in a later one.
	if err := first.Revoke(ctx, revoke.Revocation{Kind: revoke.User, Name: "ann"}); err != nil {
		t.Fatal(err)
	}
	refreshing.closes(protocol.Revoked)
	for revoked := time.Now().Unix(); time.Now().Unix() <= revoked; {
		time.Sleep(10 * time.Millisecond)
	}
	free()
	if got := refusal[*protocol.Connected](coming); got.Code != protocol.Revoked || got.Retry != protocol.Never {
		t.Errorf("%+v", got)
	}
	later := dial(t, ctx, second, protocol.JSON) // the backend lets the user in again
	later.send(&protocol.Connect{Ref: 1, Version: 1, Token: "ann"})
	await[*protocol.Connected](later)
}
