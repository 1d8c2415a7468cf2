package main

import (
	"io"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

func init() {
	registerGo("fasthttp", "github.com/fasthttp/websocket", serveFasthttp, doesTLS, doesDeflate)
}

// fasthttpConn has one reader, its goroutine, and one writer at a time.
type fasthttpConn struct {
	*websocket.Conn
	mu    sync.Mutex // held while writing
	queue queue[*websocket.PreparedMessage]
}

// serveFasthttp upgrades from fasthttp, whose buffers the upgrader uses when
// no sizes are given.
func serveFasthttp(at endpoint) error {
	ln, err := at.listen()
	if err != nil {
		return err
	}
	all := newHub[*fasthttpConn]()
	upgrader := websocket.FastHTTPUpgrader{EnableCompression: at.deflate}
	return fasthttp.Serve(ln, func(ctx *fasthttp.RequestCtx) {
		_ = upgrader.Upgrade(ctx, func(ws *websocket.Conn) { // it has answered a failure
			c := &fasthttpConn{Conn: ws}
			c.queue.write, c.queue.drop = c.writeAll, func() { ws.Close() }
			c.serve(all)
		})
	})
}

func (c *fasthttpConn) serve(all *hub[*fasthttpConn]) {
	all.join(c)
	defer all.leave(c)
	for {
		kind, message, err := c.NextReader()
		if err != nil || c.answer(all, kind, message) != nil {
			return
		}
	}
}

func (c *fasthttpConn) answer(all *hub[*fasthttpConn], kind int, message io.Reader) error {
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
	all.each(func(to *fasthttpConn) { to.queue.push(prepared, buf.Len()) })
	return nil
}

func (c *fasthttpConn) writeAll(batch []*websocket.PreparedMessage) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range batch {
		if err := c.WritePreparedMessage(m); err != nil {
			return err
		}
	}
	return nil
}
