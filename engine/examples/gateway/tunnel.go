package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

const (
	dialTimeout = 10 * time.Second
	// endTimeout is how long a backend may take to end after its client has.
	endTimeout = 10 * time.Second
)

func (b *backend) dial(ctx context.Context) (*net.TCPConn, error) {
	nc, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", b.addr)
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil
}

// tunnel copies between one client and the backend. The error says with which code the
// client is closed. A WebSocket has no half-close: whoever of the two ends first, what he
// has sent arrives, and then the other one is closed.
func (b *backend) tunnel(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
	b.open.Add(1)
	defer b.open.Add(-1)
	tcp, err := b.dial(ctx)
	if err != nil {
		log.Printf("%s: %v", b.name, err)
		return &engine.CloseError{Code: engine.StatusBadGateway, Reason: b.name + " cannot be reached"}
	}
	defer tcp.Close()
	defer context.AfterFunc(ctx, func() { _ = tcp.SetDeadline(time.Now().Add(endTimeout)) })()

	client, upDone := c.NetConn(engine.Binary), make(chan struct{})
	c.WebSocket().Go(func() {
		defer close(upDone)
		up(tcp, client, c.WebSocket())
	})
	_, err = io.Copy(client, tcp)
	switch {
	case err == nil: // the backend has ended: close the client behind its last bytes
		err = c.Close(context.Background(), engine.StatusNormalClosure, "")
	case errors.Is(err, engine.ErrClosed): // the client has: let the backend read to the end
		_, _ = io.Copy(io.Discard, tcp)
	default:
		return &engine.CloseError{Code: engine.StatusBadGateway, Reason: b.name + " failed"}
	}
	<-upDone
	return err
}

// up copies what the client sends to the backend. If the client closes in order, the
// backend reads the end of the stream; if the client is lost, a reset, so that it does not
// take a part for the whole.
func up(tcp *net.TCPConn, client net.Conn, ws *engine.WebSocket) {
	_, err := io.Copy(tcp, client)
	if err != nil || ws.Cause() == engine.CauseShutdown {
		_ = tcp.SetLinger(0)
		_ = tcp.Close()
		return
	}
	_ = tcp.CloseWrite()
}
