package pull_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// NetConn keeps all rules of net.Conn that golang.org/x/net knows: none is left out.
func TestNetConnIsAConn(t *testing.T) {
	limits := engine.Limits{MaxQueued: 256 << 10}
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		srv := &engine.Server{Limits: limits}
		server, client := pair(t, srv, &engine.DialOptions{Limits: limits})
		c1, c2 = server.NetConn(engine.Binary), client.NetConn(engine.Binary)
		return c1, c2, func() {
			_ = c1.Close()
			_ = c2.Close()
			_ = srv.Close()
		}, nil
	})
}

func TestNetConnEndsAsTheConnectionDoes(t *testing.T) {
	cases := map[string]struct {
		end  func(c *pull.Conn)
		want func(err error) bool
	}{
		"1000": {func(c *pull.Conn) { _ = c.Close(context.Background(), 1000, "") }, func(err error) bool { return err == io.EOF }},
		"1001": {func(c *pull.Conn) { _ = c.Close(context.Background(), 1001, "") }, func(err error) bool { return err == io.EOF }},
		"none": {func(c *pull.Conn) { _ = c.Close(context.Background(), 0, "") }, func(err error) bool { return err == io.EOF }},
		"4000": {func(c *pull.Conn) { _ = c.Close(context.Background(), 4000, "") }, func(err error) bool {
			var closed *engine.CloseError
			return errors.As(err, &closed) && closed.Code == 4000
		}},
		"no close frame": {func(c *pull.Conn) { c.CloseNow() }, func(err error) bool { return errors.Is(err, engine.ErrAbnormalClosure) }},
		"other kind": {func(c *pull.Conn) { _ = c.Write(context.Background(), engine.Text, []byte("x")) }, func(err error) bool {
			var broken *engine.ProtocolError
			return errors.As(err, &broken) && broken.Code == engine.StatusUnsupportedData
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server, client := pair(t, &engine.Server{}, nil)
			nc := client.NetConn(engine.Binary)
			if _, err := server.NetConn(engine.Binary).Write([]byte("before")); err != nil {
				t.Fatal(err)
			}
			tc.end(server)
			all, err := io.ReadAll(nc)
			if err == nil {
				err = io.EOF
			}
			if string(all) != "before" || !tc.want(err) {
				t.Errorf("read %q and then %v", all, err)
			}
		})
	}
}

// The end that the program itself makes is io.EOF, as the peer's is, if the peer has
// answered: it has read all, and what it sent is read. Otherwise it is net.ErrClosed.
func TestNetConnAtTheEndOfItsServer(t *testing.T) {
	for name, tc := range map[string]struct {
		end  func(srv *engine.Server) error
		want error
	}{
		"Shutdown": {func(srv *engine.Server) error { return srv.Shutdown(context.Background()) }, io.EOF},
		"ShutdownWith": {func(srv *engine.Server) error {
			return srv.ShutdownWith(context.Background(), engine.StatusServiceRestart, "")
		}, io.EOF},
		"Close": {func(srv *engine.Server) error { return srv.Close() }, net.ErrClosed},
	} {
		t.Run(name, func(t *testing.T) {
			srv := new(engine.Server)
			server, client := pair(t, srv, nil)
			if err := client.Write(soon(t), engine.Binary, []byte("before")); err != nil {
				t.Fatal(err)
			}
			nc := server.NetConn(engine.Binary)
			buf := make([]byte, 6)
			if _, err := io.ReadFull(nc, buf); err != nil {
				t.Fatal(err)
			}
			if err := tc.end(srv); err != nil {
				t.Fatal(err)
			}
			if n, err := nc.Read(buf); n != 0 || !errors.Is(err, tc.want) {
				t.Errorf("%d bytes, %v", n, err)
			}
			if _, err := nc.Write(buf); !errors.Is(err, net.ErrClosed) || !errors.Is(err, engine.ErrClosed) {
				t.Error("a write after it:", err)
			}
		})
	}
}

// A write after the peer has closed.
func TestNetConnWriteAfterTheEnd(t *testing.T) {
	server, client := pair(t, new(engine.Server), nil)
	nc := client.NetConn(engine.Binary)
	if err := server.Close(soon(t), engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	<-client.Context().Done()
	if _, err := nc.Write([]byte("x")); !errors.Is(err, net.ErrClosed) || !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
}
