package main

import (
	"bufio"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func init() { registerGo("gobwas", "github.com/gobwas/ws", serveGobwas) }

// gobwasConn is served by a goroutine that reads through a buffer and flushes
// what it wrote when nothing more is buffered.
type gobwasConn struct {
	net.Conn
	in    *bufio.Reader
	queue queue[[]byte] // frames

	mu   sync.Mutex // guards what follows
	out  *bufio.Writer
	head [ws.MaxHeaderSize]byte
}

// serveGobwas upgrades on the socket itself ("zero-copy upgrade"), without
// net/http.
func serveGobwas(at endpoint) error {
	ln, err := at.listen()
	if err != nil {
		return err
	}
	all := newHub[*gobwasConn]()
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if _, err := ws.Upgrade(conn); err != nil {
				return // Upgrade has answered
			}
			c := &gobwasConn{Conn: conn, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
			c.queue.write, c.queue.drop = c.writeAll, func() { conn.Close() }
			c.serve(all)
		}()
	}
}

func (c *gobwasConn) serve(all *hub[*gobwasConn]) {
	all.join(c)
	defer all.leave(c)
	frames := wsutil.NewReader(c.in, ws.StateServerSide)
	control := wsutil.ControlFrameHandler(c, ws.StateServerSide)
	frames.OnIntermediate = control
	for {
		h, err := frames.NextFrame()
		switch {
		case err != nil:
			return
		case h.OpCode.IsControl():
			err = control(h, frames)
		default:
			err = c.answer(all, h.OpCode, frames)
		}
		if err != nil || c.in.Buffered() == 0 && c.flush() != nil {
			return
		}
	}
}

func (c *gobwasConn) answer(all *hub[*gobwasConn], op ws.OpCode, message *wsutil.Reader) error {
	buf := borrowBuffer()
	defer buffers.Put(buf)
	if _, err := buf.ReadFrom(message); err != nil {
		return err
	}
	if !isPublish(buf.Bytes()) {
		return c.echo(op, buf.Bytes())
	}
	frame, err := ws.CompileFrame(ws.NewFrame(op, true, buf.Bytes()))
	if err != nil {
		return err
	}
	all.each(func(to *gobwasConn) { to.queue.push(frame, len(frame)) })
	return nil
}

func (c *gobwasConn) echo(op ws.OpCode, message []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := ws.Header{Fin: true, OpCode: op, Length: int64(len(message))}
	if err := ws.WriteHeaderBuffer(c.out, h, c.head[:]); err != nil {
		return err
	}
	_, err := c.out.Write(message)
	return err
}

func (c *gobwasConn) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Flush()
}

// Write takes the answer to a control frame.
func (c *gobwasConn) Write(frame []byte) (int, error) {
	return len(frame), c.writeAll([][]byte{frame})
}

func (c *gobwasConn) writeAll(frames [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		if _, err := c.out.Write(f); err != nil {
			return err
		}
	}
	return c.out.Flush()
}
