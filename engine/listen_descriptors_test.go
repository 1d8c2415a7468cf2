package engine_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// exchange sends a text and wants it back.
func (c *rawClient) exchange(text string) {
	c.t.Helper()
	c.send(testkit.Masked(engine.Text, text))
	c.wantMessage(engine.Text, text)
}

// reopen is openRaw that tries again when the connection is shed, as some are
// until a loop has taken in what waited while descriptors were exhausted.
func reopen(t *testing.T, addr string) (c *rawClient) {
	t.Helper()
	eventually(t, "a connection is accepted", func() bool {
		c = dialRaw(t, addr)
		if _, err := io.WriteString(c.Conn, testkit.UpgradeHead(addr)); err != nil {
			return false
		}
		resp, err := http.ReadResponse(c.br, nil)
		return err == nil && resp.StatusCode == http.StatusSwitchingProtocols
	})
	return c
}

// R04
func TestServerSurvivesExhaustedDescriptors(t *testing.T) {
	const limit, loops = 100, 2
	srv := startChild(t, childConfig{Loops: loops, Descriptors: limit})
	started := time.Now()
	established := make([]*rawClient, 20)
	for i := range established {
		established[i] = openRaw(t, srv.addr)
	}
	before := srv.descriptors(t)
	requests := make([]*rawClient, 20) // they say what they want when there is nothing left
	for i := range requests {
		requests[i] = dialRaw(t, srv.addr)
	}
	eventually(t, "the requests' connections are accepted", func() bool { return srv.descriptors(t) >= before+len(requests) })

	var idle []net.Conn
	for range 2 * limit {
		nc, err := net.Dial("tcp", srv.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		idle = append(idle, nc)
	}
	eventually(t, "the descriptors are exhausted", func() bool {
		return strings.Contains(srv.log.String(), "accepting is paused")
	})
	for round := range 50 {
		for i, c := range established {
			c.exchange(fmt.Sprintf("connection %d round %d", i, round))
		}
	}
	// net/http needs one more for a moment. A request is refused or served, and
	// counted out either way.
	for _, c := range requests {
		c.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		if resp, _ := c.readResponse(); resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusNotFound {
			t.Errorf("a request got %d, want 503 or 404", resp.StatusCode)
		}
	}
	for _, c := range requests {
		_ = c.Close()
	}

	for _, nc := range idle {
		_ = nc.Close()
	}
	for i := range 10 {
		reopen(t, srv.addr).exchange(fmt.Sprint("after relief ", i))
	}
	for i, c := range established {
		c.exchange(fmt.Sprintf("connection %d after relief", i))
	}
	eventually(t, "descriptors are back", func() bool { return srv.descriptors(t) <= before+10 })

	lines := srv.logLines()
	seconds := 1 + int(time.Since(started)/time.Second)
	if most := loops*seconds + seconds; lines > most { // of the loops, and of what net/http cannot get (R-j)
		t.Errorf("%d log lines, want at most %d:\n%s", lines, most, srv.log)
	}
}
