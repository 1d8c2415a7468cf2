package main

import (
	"bufio"
	"bytes"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func init() { registerGo("gobwas", "github.com/gobwas/ws", serveGobwas, doesTLS) }

// gobwasConn is served by a goroutine that reads through a buffer. Answers
// collect in a borrowed buffer and leave in one write before the next read.
type gobwasConn struct {
	net.Conn
	queue queue[[]byte] // frames

	mu   sync.Mutex // guards what follows
	out  *bytes.Buffer
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
			c := &gobwasConn{Conn: conn}
			c.queue.write, c.queue.drop = c.writeAll, func() { conn.Close() }
			c.serve(all)
		}()
	}
}

func (c *gobwasConn) serve(all *hub[*gobwasConn]) {
	all.join(c)
	defer all.leave(c)
	frames := wsutil.NewReader(bufio.NewReader(c), ws.StateServerSide)
	control := wsutil.ControlFrameHandler(c, ws.StateServerSide)
	frames.OnIntermediate = control
	for {
		h, err := frames.NextFrame()
		switch {
		case err != nil:
		case h.OpCode.IsControl():
			err = control(h, frames)
		default:
			err = c.answer(all, h.OpCode, frames)
		}
		if err != nil {
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
	if err := ws.WriteHeaderBuffer(c.pending(), h, c.head[:]); err != nil {
		return err
	}
	c.out.Write(message)
	return nil
}

// pending is the buffer of what is to be written. c.mu is held.
func (c *gobwasConn) pending() *bytes.Buffer {
	if c.out == nil {
		c.out = borrowBuffer()
	}
	return c.out
}

// Read flushes first, so that no answer waits for what the client sends next.
func (c *gobwasConn) Read(p []byte) (int, error) {
	if err := c.writeAll(nil); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write takes the answer to a control frame.
func (c *gobwasConn) Write(frame []byte) (int, error) {
	return len(frame), c.writeAll([][]byte{frame})
}

// writeAll writes what is pending and then frames.
func (c *gobwasConn) writeAll(frames [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range frames {
		c.pending().Write(f)
	}
	if c.out == nil {
		return nil
	}
	_, err := c.Conn.Write(c.out.Bytes())
	buffers.Put(c.out)
	c.out = nil
	return err
}
