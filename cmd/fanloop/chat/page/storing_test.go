package page_test

import (
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// X43, X44: while the service cannot store, the page says so, what is written waits, and it is
// stored once when the service can again.
func TestPageWhileNothingIsStored(t *testing.T) {
	browser, options := chattest.StartBrowser(t), natsserver.Options{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	start := func() *natsserver.Server {
		server, err := natsserver.Start(options)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		return server
	}
	server := start()
	_, options.Addr, _ = strings.Cut(server.URL(), "://")
	node := chattest.StartNode(t, func(c *config.Config) { c.DataDir, c.NATS = "", server.URL() })
	ann := enter(t, browser, node, "ann", "store")
	ann.says("before")
	ann.sees(`look.count("before") === 1 && look.pending() === 0 && look.state().state === "connected"`)
	server.Close()
	ann.says("meanwhile")
	ann.sees(`look.state().state === "stuck" && look.state().banner && /cannot store messages now/.test(document.getElementById("banner-text").textContent) && look.pending() === 1`)
	ann.Do(`location.hash = "another"`)
	ann.sees(`/cannot be loaded now/.test(document.getElementById("trouble-text").textContent) && !document.getElementById("trouble").hidden && document.getElementById("remove").hidden`)
	ann.Do(`location.hash = "store"`)
	start()
	ann.sees(`look.state().state === "connected" && !look.state().banner && look.count("meanwhile") === 1 && look.pending() === 0`)
	ann.visit("another")
	ann.sees(`document.getElementById("trouble").hidden`)
	ann.visit("store")
	ann.readsTheStream("store")
}
