//go:build unix

package service_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// crashVariable is how often TestLeadersAreKilledAndThenAll hits a node.
const crashVariable = "FANLOOP_CRASHES"

// issuer signs tokens, and serves its key unless it is bad.
type issuer struct {
	*httptest.Server
	key ed25519.PrivateKey
	bad atomic.Bool
}

func startIssuer(t *testing.T) *issuer {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{key: key}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if i.bad.Load() {
			http.Error(w, "no keys today", http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":%q}]}`, base64.RawURLEncoding.EncodeToString(public))
	}))
	t.Cleanup(i.Close)
	return i
}

// hello is the first command of a user.
func (i *issuer) hello(t *testing.T, user string) *protocol.Connect {
	t.Helper()
	now := time.Now()
	unsigned := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{"sub": user, "iat": now.Add(-time.Minute).Unix(), "exp": now.Add(10 * time.Hour).Unix()})
	unsigned.Header["kid"] = "k"
	text, err := unsigned.SignedString(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return &protocol.Connect{Ref: 1, Version: 1, Token: text}
}

// pages are the ids of all messages of a topic that the client is subscribed to.
func (c *client) pages(topic string) (ids []string) {
	c.t.Helper()
	for before := (*protocol.Position)(nil); ; {
		page := history(c, protocol.History{Topic: topic, Before: before})
		ids = append(idsOf(page.Messages), ids...)
		if page.Begin {
			return ids
		}
		before = page.Back
	}
}

// outages are what is done to three nodes, and what clients had acknowledged meanwhile.
type outages struct {
	t        *testing.T
	ctx      context.Context
	issuer   *issuer
	settings []string
	nodes    []*process
	topics   []string
	acked    map[string][]string // by topic
	pos      *protocol.Position  // of the reader of the first topic
}

func (o *outages) enter(node int, user string, in protocol.Subscribe) (*client, *protocol.Subscribed) {
	o.t.Helper()
	return enterAs(o.t, o.ctx, o.nodes[node].addr, o.issuer.hello(o.t, user), in)
}

// say publishes three lines in each topic, each until it is stored. It calls hit after the
// first one.
func (o *outages) say(node int, prefix string, hit func()) {
	o.t.Helper()
	talkers := make(map[string]*client)
	for _, topic := range o.topics {
		talkers[topic], _ = o.enter(node, "talker", protocol.Subscribe{Topic: topic})
	}
	for i := range 3 * len(o.topics) {
		topic, id := o.topics[i%len(o.topics)], fmt.Sprint(prefix, i)
		talkers[topic].sayIn(topic, id)
		o.acked[topic] = append(o.acked[topic], id)
		if i == 0 {
			hit()
		}
	}
	for _, talker := range talkers {
		talker.ws.CloseNow()
	}
}

// stopOne has a node stopped for a while, or killed and started again.
func (o *outages) stopOne(round int) {
	o.t.Helper()
	victim, other, prefix := round%len(o.nodes), (round+1)%len(o.nodes), fmt.Sprint(round, "-")
	if round%2 == 0 {
		o.say(other, prefix, func() { o.nodes[victim].stop(o.t) })
		o.nodes[victim].send(o.t, syscall.SIGCONT)
	} else {
		o.say(other, prefix, o.nodes[victim].kill)
		o.nodes[victim] = startProcess(o.t, o.settings[victim])
	}
	o.read(victim)
}

// read has the reader of the first topic go on at a node, where three lines are new.
func (o *outages) read(node int) {
	o.t.Helper()
	reader, in := o.enter(node, "reader", protocol.Subscribe{Topic: o.topics[0], Pos: o.pos, Last: 50})
	defer reader.ws.CloseNow()
	got, all := idsOf(in.Messages), o.acked[o.topics[0]]
	if o.pos != nil && in.State != protocol.Resumed {
		o.t.Errorf("%+v", in)
	}
	if missing := 3 - len(got); missing > 0 {
		got = append(got, reader.messages(in.Pos, missing)...)
	}
	if !slices.Equal(got, all[len(all)-3:]) {
		o.t.Errorf("node %d: %q of %q", node, got, all)
	}
	o.pos = in.Pos
}

// stopAll kills all nodes, and starts them again while no token can be checked.
func (o *outages) stopAll() {
	o.t.Helper()
	o.issuer.bad.Store(true)
	for _, n := range o.nodes {
		n.kill()
	}
	launchAll(o.t, o.settings, o.nodes)
	early := &client{t: o.t, ctx: o.ctx, encoding: protocol.JSON}
	early.dial(o.nodes[0].addr)
	early.send(o.issuer.hello(o.t, "reader"))
	if got := early.failure(); got.Retry != protocol.Later {
		o.t.Errorf("without keys: %+v", got)
	}
	o.issuer.bad.Store(false)
}

// X44, X49: of three nodes with stores of their own, one after the other is stopped by
// SIGSTOP for a while, or killed, with the leaders that it has, while lines are published
// with ids until they are acknowledged. Who comes to the node when it is back resumes. At
// the end all nodes are killed at once, and start again while the issuer of the tokens is
// bad: clients are to come back later. Every acknowledged line is there, once and in order,
// from each node.
func TestLeadersAreKilledAndThenAll(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv(crashVariable))
	if rounds <= 0 {
		t.Skipf("set %s to the number of times that a node is hit", crashVariable)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds+5)*time.Minute)
	defer cancel()
	o := &outages{t: t, ctx: ctx, issuer: startIssuer(t), acked: make(map[string][]string)}
	o.settings, o.nodes = launchCluster(t, fmt.Sprintf(", accounts: {jwks: {url: %q, at-least: 1s}}, limits: {user: {commands: {per-second: 0}}}", o.issuer.URL))
	o.topics = []string{"lobby", "a", "b", "c", "d", "e", "f", "g"} // of several streams, whose leaders are anywhere
	for round := range rounds {
		o.stopOne(round)
	}
	o.stopAll()
	for node := range o.nodes {
		for _, topic := range o.topics {
			reader, _ := o.enter(node, "reader", protocol.Subscribe{Topic: topic})
			if got := reader.pages(topic); !slices.Equal(got, o.acked[topic]) {
				t.Errorf("node %d has of %s\n%q\nwant\n%q", node, topic, got, o.acked[topic])
			}
		}
	}
}
