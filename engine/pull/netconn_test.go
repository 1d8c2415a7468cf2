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
