package interop

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	coder "github.com/coder/websocket"
	gobwas "github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/fanloop-go/fanloop/engine"
)

// gorillaConn sends a frame whenever its write buffer is full, so it cuts
// messages of several pieces itself.
type gorillaConn struct{ *gorilla.Conn }

const gorillaBuffer = 4096

func newGorilla(c *gorilla.Conn, onPong func(string)) goConn {
	bound(c.NetConn())
	c.SetPongHandler(func(payload string) error {
		onPong(payload)
		return nil
	})
	return gorillaConn{c}
}

func dialGorillaPeer(ctx context.Context, url string, onPong func(string)) (goConn, error) {
	d := gorilla.Dialer{Subprotocols: []string{"chat.v9", subprotocol}, WriteBufferSize: gorillaBuffer, EnableCompression: true}
	c, resp, err := d.DialContext(ctx, url, nil)
	if err != nil {
		return nil, err
	}
	_ = resp.Body.Close()
	return newGorilla(c, onPong), nil
}

func acceptGorilla(w http.ResponseWriter, r *http.Request, onPong func(string)) (goConn, error) {
	u := gorilla.Upgrader{Subprotocols: []string{subprotocol}, WriteBufferSize: gorillaBuffer, EnableCompression: true}
	c, err := u.Upgrade(w, r, nil)
	if err != nil {
		return nil, err
	}
	return newGorilla(c, onPong), nil
}

func (c gorillaConn) send(op engine.OpCode, pieces ...[]byte) error {
	w, err := c.NextWriter(int(op))
	for _, p := range pieces {
		if err == nil {
			_, err = w.Write(p)
		}
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (c gorillaConn) receive() (message, error) {
	op, p, err := c.ReadMessage()
	var closed *gorilla.CloseError
	if errors.As(err, &closed) && closed.Code != gorilla.CloseAbnormalClosure {
		err = &closedError{closed.Code, closed.Text}
	}
	return message{engine.OpCode(op), string(p)}, err
}

func (c gorillaConn) ping(payload string) error {
	return c.WriteControl(gorilla.PingMessage, []byte(payload), time.Now().Add(patience))
}

func (c gorillaConn) close(code int, reason string) error {
	return c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(patience))
}

func (c gorillaConn) finishes() bool      { return false }
func (c gorillaConn) drop()               { _ = c.Close() }
func (c gorillaConn) subprotocol() string { return c.Subprotocol() }

// coderConn chooses the payload of pings itself and compares that of the pong.
type coderConn struct {
	*coder.Conn
	onPong func(string)
}

// coderContext bounds what is done with a connection.
func coderContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func newCoder(c *coder.Conn, onPong func(string)) goConn {
	c.SetReadLimit(-1)
	return coderConn{c, onPong}
}

func dialCoder(ctx context.Context, url string, onPong func(string)) (goConn, error) {
	c, _, err := coder.Dial(ctx, url, &coder.DialOptions{
		Subprotocols: []string{"chat.v9", subprotocol}, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		return nil, err
	}
	return newCoder(c, onPong), nil
}

func acceptCoder(w http.ResponseWriter, r *http.Request, onPong func(string)) (goConn, error) {
	c, err := coder.Accept(w, r, &coder.AcceptOptions{
		Subprotocols: []string{subprotocol}, CompressionMode: coder.CompressionContextTakeover})
	if err != nil {
		return nil, err
	}
	return newCoder(c, onPong), nil
}

func (c coderConn) send(op engine.OpCode, pieces ...[]byte) error {
	ctx, cancel := coderContext()
	defer cancel()
	if len(pieces) == 1 {
		return c.Write(ctx, coder.MessageType(op), pieces[0])
	}
	w, err := c.Writer(ctx, coder.MessageType(op))
	for _, p := range pieces {
		if err == nil {
			_, err = w.Write(p)
		}
	}
	if err != nil {
		return err
	}
	return w.Close()
}

func (c coderConn) receive() (message, error) {
	ctx, cancel := coderContext()
	defer cancel()
	op, p, err := c.Read(ctx)
	var closed coder.CloseError
	if errors.As(err, &closed) {
		err = &closedError{int(closed.Code), closed.Reason}
	}
	return message{engine.OpCode(op), string(p)}, err
}

func (c coderConn) ping(payload string) error {
	go func() {
		ctx, cancel := coderContext()
		defer cancel()
		if c.Ping(ctx) == nil {
			c.onPong(payload)
		}
	}()
	return nil
}

func (c coderConn) close(code int, reason string) error {
	return c.Close(coder.StatusCode(code), reason)
}

func (c coderConn) finishes() bool      { return true }
func (c coderConn) drop()               { _ = c.CloseNow() }
func (c coderConn) subprotocol() string { return c.Subprotocol() }

// gobwasConn reads and writes frames.
type gobwasConn struct {
	net.Conn
	r        io.Reader
	role     gobwas.State
	protocol string
	onPong   func(string)
}

func dialGobwas(ctx context.Context, url string, onPong func(string)) (goConn, error) {
	d := gobwas.Dialer{Protocols: []string{"chat.v9", subprotocol}}
	nc, br, hs, err := d.Dial(ctx, url)
	if err != nil {
		return nil, err
	}
	bound(nc)
	c := &gobwasConn{nc, nc, gobwas.StateClientSide, hs.Protocol, onPong}
	if br != nil { // frames that came with the answer
		c.r = br
	}
	return c, nil
}

func acceptGobwas(w http.ResponseWriter, r *http.Request, onPong func(string)) (goConn, error) {
	u := gobwas.HTTPUpgrader{Protocol: func(p string) bool { return p == subprotocol }}
	nc, rw, hs, err := u.Upgrade(r, w)
	if err != nil {
		return nil, err
	}
	bound(nc)
	return &gobwasConn{nc, bufio.NewReader(rw), gobwas.StateServerSide, hs.Protocol, onPong}, nil
}

func (c *gobwasConn) frame(op gobwas.OpCode, fin bool, p []byte) error {
	f := gobwas.NewFrame(op, fin, p)
	if c.role.ClientSide() {
		f = gobwas.MaskFrame(f)
	}
	return gobwas.WriteFrame(c.Conn, f)
}

func (c *gobwasConn) send(op engine.OpCode, pieces ...[]byte) error {
	as := gobwas.OpCode(op)
	for i, p := range pieces {
		if err := c.frame(as, i == len(pieces)-1, p); err != nil {
			return err
		}
		as = gobwas.OpContinuation
	}
	return nil
}

func (c *gobwasConn) receive() (message, error) {
	var m message
	state := c.role
	for {
		h, payload, err := c.readFrame(state)
		if err != nil {
			return m, err
		}
		switch h.OpCode {
		case gobwas.OpPing:
			err = c.frame(gobwas.OpPong, true, payload)
		case gobwas.OpPong:
			c.onPong(string(payload))
		case gobwas.OpClose:
			_ = c.frame(gobwas.OpClose, true, payload) // closed already if this is the answer
			if len(payload) == 0 {
				return m, &closedError{1005, ""}
			}
			return m, &closedError{int(binary.BigEndian.Uint16(payload)), string(payload[2:])}
		default:
			if h.OpCode != gobwas.OpContinuation {
				m.op = engine.OpCode(h.OpCode)
			}
			m.payload += string(payload)
			if h.Fin {
				return m, nil
			}
			state = state.Set(gobwas.StateFragmented)
		}
		if err != nil {
			return m, err
		}
	}
}

func (c *gobwasConn) readFrame(state gobwas.State) (gobwas.Header, []byte, error) {
	h, err := gobwas.ReadHeader(c.r)
	if err == nil {
		err = gobwas.CheckHeader(h, state)
	}
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(c.r, payload)
	if h.Masked {
		gobwas.Cipher(payload, h.Mask, 0)
	}
	return h, payload, err
}

func (c *gobwasConn) ping(payload string) error {
	return c.frame(gobwas.OpPing, true, []byte(payload))
}

func (c *gobwasConn) close(code int, reason string) error {
	if code == 1005 {
		return c.frame(gobwas.OpClose, true, nil)
	}
	return c.frame(gobwas.OpClose, true, gobwas.NewCloseFrameBody(gobwas.StatusCode(code), reason))
}

func (c *gobwasConn) finishes() bool      { return false }
func (c *gobwasConn) drop()               { _ = c.Close() }
func (c *gobwasConn) subprotocol() string { return c.protocol }
