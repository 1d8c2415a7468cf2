package main

import (
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

func init() {
	registerGo("gorilla", "github.com/gorilla/websocket", serveGorilla, doesTLS, doesDeflate)
}

// gorillaConn has one reader, its goroutine, and one writer at a time.
type gorillaConn struct {
	*websocket.Conn
	mu    sync.Mutex // held while writing
	queue queue[*websocket.PreparedMessage]
}

// serveGorilla upgrades from net/http. With no buffer sizes, the upgrader takes
// over the 4 KiB buffers of the HTTP server.
func serveGorilla(at endpoint) error {
	ln, err := at.listen()
	if err != nil {
		return err
	}
	all := newHub[*gorillaConn]()
	upgrader := websocket.Upgrader{EnableCompression: at.deflate}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // the upgrader has answered
		}
		c := &gorillaConn{Conn: ws}
		c.queue.write, c.queue.drop = c.writeAll, func() { ws.Close() }
		go c.serve(all) // lets go of w and r
	}))
}

func (c *gorillaConn) serve(all *hub[*gorillaConn]) {
	defer c.Close()
	all.join(c)
	defer all.leave(c)
	for {
		kind, message, err := c.NextReader()
		if err != nil || c.answer(all, kind, message) != nil {
			return
		}
	}
}

func (c *gorillaConn) answer(all *hub[*gorillaConn], kind int, message io.Reader) error {
	buf := borrowBuffer()
	defer buffers.Put(buf)
	if _, err := buf.ReadFrom(message); err != nil {
		return err
	}
	if !isPublish(buf.Bytes()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.WriteMessage(kind, buf.Bytes())
	}
	prepared, err := websocket.NewPreparedMessage(kind, buf.Bytes())
	if err != nil {
		return err
	}
	all.each(func(to *gorillaConn) { to.queue.push(prepared, buf.Len()) })
	return nil
}

func (c *gorillaConn) writeAll(batch []*websocket.PreparedMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range batch {
		if err := c.WritePreparedMessage(m); err != nil {
			return err
		}
	}
	return nil
}
