package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/admin"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// clustered is a node that reaches so many servers of three.
type clustered struct {
	*service.Service
	reached atomic.Int64
}

func (c *clustered) Stats() service.Stats {
	st := c.Service.Stats()
	st.Servers = natsserver.Peers{Reached: int(c.reached.Load()), All: 3}
	st.Quorum = !st.Servers.Lost()
	return st
}

func (c *clustered) Ready() error {
	if c.Stats().Quorum {
		return nil
	}
	return fmt.Errorf("%w: this node reaches 1 of 3 servers, itself included", service.ErrNoQuorum)
}

// The page warns when a server of the cluster is away, and shows an alarm when the quorum is
// lost, each in its colour. /readyz fails with the reason then.
func TestPageShowsServersThatAreAway(t *testing.T) {
	browser := chattest.StartBrowser(t)
	s, _ := start(t, nil)
	node := &clustered{Service: s}
	node.reached.Store(3)
	h := admin.New(admin.Config{Node: node, Metrics: prometheus.NewRegistry(), Log: logger})
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.End(); server.Close() })
	page := browser.Open(t, server.URL+"/admin")
	page.Wait(`document.getElementById("state").className === "good" && document.getElementById("alarms").hidden && document.getElementById("warnings").hidden`)
	node.reached.Store(2)
	page.Wait(`document.getElementById("warnings").textContent.startsWith("One server of 3")`)
	node.reached.Store(1)
	page.Wait(`document.getElementById("alarms").textContent.startsWith("No quorum") && document.getElementById("warnings").hidden && document.getElementById("state").className === "bad"`)
	var colours []string
	page.Get(`["alarms", "warnings", "store"].map((id) => getComputedStyle(document.getElementById(id)).color)`, &colours)
	if colours[0] == colours[1] || colours[0] == colours[2] || colours[1] == colours[2] {
		t.Errorf("%q", colours)
	}
	w := ask(h, http.MethodGet, "/readyz", nil)
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no quorum: this node reaches 1 of 3") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	node.reached.Store(3)
	page.Wait(`document.getElementById("alarms").hidden && document.getElementById("state").className === "good"`)
}

// lonely is a node that hears of another one only for a while. Both have counted more each
// time that they are asked.
type lonely struct {
	*service.Service
	gone  atomic.Bool
	asked atomic.Int64
}

func (l *lonely) States(context.Context) []service.NodeState {
	n := l.asked.Add(1)
	counted := func(perSecond uint64) uint64 { return 7 + 3*perSecond*uint64(n) }
	all := []service.NodeState{{Name: "n1", State: "ready", Sessions: 2, Users: 2, Published: counted(10), Delivered: counted(200), Time: 3000 * n}}
	if !l.gone.Load() {
		all = append(all, service.NodeState{Name: "n2", State: "ready", Sessions: 3, Users: 3, Admin: "http://n2.internal:8001/admin",
			Published: counted(20), Delivered: counted(400), Time: 90_000 + 3000*n})
	}
	return all
}

// The page has a link to the pages of other nodes, and shows one that was killed as gone, in
// a colour.
func TestPageShowsNodesThatAreGone(t *testing.T) {
	browser := chattest.StartBrowser(t)
	s, _ := start(t, nil)
	node := &lonely{Service: s}
	h := admin.New(admin.Config{Node: node, Metrics: prometheus.NewRegistry(), Log: logger})
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.End(); server.Close() })
	page := browser.Open(t, server.URL+"/admin")
	page.Wait(`document.querySelector("#nodes a")?.href === "http://n2.internal:8001/admin"`)
	page.Wait(`document.getElementById("scope").textContent.endsWith("All 2 nodes together have 5 sessions, 30 publishes/s and 600 deliveries/s.")`, `document.getElementById("scope").textContent`)
	const rows = `["nodes", "sum"].map((id) => document.getElementById(id).innerText.replace(/\s+/g, " ").trim()).join("; ")`
	page.Wait(rows+` === "n1 ready 2 2 10 200 n2 ready 3 3 20 400; All nodes 5 30 600"`, rows)
	node.gone.Store(true)
	page.Wait(`document.getElementById("sum").hidden && document.getElementById("scope").textContent === "The charts and tables are of this node."`)
	page.Wait(`document.querySelector("#nodes tr.bad")?.textContent.startsWith("n2gone since ")`)
	page.Wait(`[...document.querySelectorAll("#charts small")].every((s) => / since /.test(s.textContent))`)
}
