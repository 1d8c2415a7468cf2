package main

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/coder/websocket"
)

func init() {
	registerGo("coder", "github.com/coder/websocket", serveCoder, doesTLS, doesDeflate, doesTakeover)
}

type coderMessage struct {
	kind websocket.MessageType
	data []byte
}

type coderConn struct {
	*websocket.Conn
	queue queue[coderMessage]
}

// serveCoder uses Reader and Write with buffers of its own, the calls that
// allocate nothing. A context that is never done costs no timer.
func serveCoder(at endpoint) error {
	ln, err := at.listen()
	if err != nil {
		return err
	}
	all := newHub[*coderConn]()
	var options websocket.AcceptOptions
	switch {
	case at.takeover:
		options.CompressionMode = websocket.CompressionContextTakeover
	case at.deflate:
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	return http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &options)
		if err != nil {
			return // Accept has answered
		}
		ws.SetReadLimit(-1) // 32 KiB otherwise
		c := &coderConn{Conn: ws}
		c.queue.write, c.queue.drop = c.writeAll, func() { ws.CloseNow() }
		go c.serve(all) // lets go of w and r
	}))
}

func (c *coderConn) serve(all *hub[*coderConn]) {
	defer c.CloseNow()
	all.join(c)
	defer all.leave(c)
	for {
		kind, message, err := c.Reader(context.Background())
		if err != nil || c.answer(all, kind, message) != nil {
			return
		}
	}
}

func (c *coderConn) answer(all *hub[*coderConn], kind websocket.MessageType, message io.Reader) error {
	buf := borrowBuffer()
	defer buffers.Put(buf)
	if _, err := buf.ReadFrom(message); err != nil {
		return err
	}
	if !isPublish(buf.Bytes()) {
		return c.Write(context.Background(), kind, buf.Bytes())
	}
	shared := coderMessage{kind, bytes.Clone(buf.Bytes())}
	all.each(func(to *coderConn) { to.queue.push(shared, len(shared.data)) })
	return nil
}

func (c *coderConn) writeAll(batch []coderMessage) error {
	for _, m := range batch {
		if err := c.Write(context.Background(), m.kind, m.data); err != nil {
			return err
		}
	}
	return nil
}
