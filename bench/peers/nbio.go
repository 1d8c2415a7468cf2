package main

import (
	"net"
	"net/http"
	"time"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func init() { registerGo("nbio", "github.com/lesismal/nbio", serveNbio) }

// serveNbio runs nbio's poller in non-blocking mode. A write never blocks there:
// what the socket does not take waits inside nbio. So a publish is a loop of
// WriteMessage, which is safe from any goroutine, and the handlers run on the
// poller itself instead of nbio's pool for handlers that block.
func serveNbio(at endpoint) error {
	logging.SetLevel(logging.LevelNone)
	ln, err := at.listen()
	if err != nil {
		return err
	}
	all := newHub[*websocket.Conn]()
	upgrader := websocket.NewUpgrader()
	upgrader.KeepaliveTime = 0 // 120 s of silence end a connection otherwise
	upgrader.OnOpen(all.join)
	upgrader.OnClose(func(c *websocket.Conn, _ error) { all.leave(c) })
	upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, data []byte) {
		if !isPublish(data) {
			_ = c.WriteMessage(kind, data) // an error closes c
			return
		}
		all.each(func(to *websocket.Conn) { _ = to.WriteMessage(kind, data) })
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                      "tcp",
		Addrs:                        []string{at.addr},
		Listen:                       func(string, string) (net.Listener, error) { return ln, nil },
		IOMod:                        nbhttp.IOModNonBlocking,
		NPoller:                      at.loops,
		ServerExecutor:               func(f func()) { f() },
		ReleaseWebsocketPayload:      true,
		MaxWriteBufferSize:           maxUnread,
		MaxWebsocketFramePayloadSize: maxUnread, // an echo is one frame; 32 KiB otherwise
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := upgrader.Upgrade(w, r, nil); err == nil {
				_ = c.SetReadDeadline(time.Time{}) // the one of the HTTP server
			}
		}),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}
