package revoke_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newList(t testing.TB, c revoke.Config) *revoke.List {
	t.Helper()
	l, err := revoke.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// node is one of a cluster.
type node struct {
	*revoke.List
	conn *clustertest.Conn
}

func newNodes(t testing.TB, store *clustertest.Store, n int) []node {
	t.Helper()
	var all []node
	for range n {
		conn := store.Connect()
		all = append(all, node{newList(t, revoke.Config{Bus: conn}), conn})
	}
	return all
}

// connection is one that may be ended.
type connection struct {
	mu   sync.Mutex
	by   []revoke.Revocation
	held chan struct{} // closed when it has ended; nil: at once
	reg  *revoke.Registration
}

func (c *connection) end(r revoke.Revocation) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = append(c.by, r)
	return c.held
}

func (c *connection) ended() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.by)
}

func connect(t testing.TB, l *revoke.List, id revoke.Identity) *connection {
	t.Helper()
	c := &connection{}
	var err error
	if c.reg, err = l.Register(id, c.end); err != nil {
		t.Fatal(err)
	}
	return c
}

// ann is a token that was issued a minute ago.
func ann(token string) revoke.Identity {
	return revoke.Identity{User: "ann", Session: "s1", Token: token, Issued: time.Now().Add(-time.Minute)}
}

// within is a context for a Revoke, on the clock of the test.
func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
