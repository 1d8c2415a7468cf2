package pull_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// An echo as a loop, on both sides.
func Example() {
	srv := &engine.Server{
		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
			for {
				op, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				if err := c.Write(ctx, op, data); err != nil {
					return err
				}
			}
		}),
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx := context.Background()
	c, err := pull.Dial(ctx, "ws://"+addr.String()+"/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_ = c.Write(ctx, engine.Text, []byte("hello"))
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	fmt.Println(c.Close(ctx, engine.StatusNormalClosure, ""))
	// Output:
	// hello <nil>
	// <nil>
}

// A client that reads in a loop and reconnects: each connection gets a Conn and a goroutine
// of its own.
func ExampleNew_reconnecting() {
	srv := &engine.Server{
		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
			if err := c.Write(ctx, engine.Text, []byte("news")); err != nil {
				return err
			}
			return &engine.CloseError{Code: engine.StatusGoingAway} // the client comes again
		}),
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	received := make(chan string)
	client, err := engine.DialReconnecting(ctx, "ws://"+addr.String()+"/", nil, engine.ReconnectPolicy{
		OnConnect: func(ws *engine.WebSocket, _ int) {
			c := pull.New(ws)
			ws.Go(func() {
				for m, err := range c.Messages(ctx) {
					if err != nil {
						return // OnConnect is called for the next connection
					}
					select {
					case received <- string(m.Data):
					case <-ctx.Done():
					}
				}
			})
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(<-received)
	fmt.Println(<-received) // from the second connection
	cancel()                // closes with 1001; no connection follows
	<-client.Done()
	// Output:
	// news
	// news
}

// A server that counts down; the client ranges over what comes.
func ExampleConn_Messages() {
	srv := &engine.Server{
		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
			for i := 3; i > 0; i-- {
				if err := c.Write(ctx, engine.Text, fmt.Append(nil, i)); err != nil {
					return err
				}
			}
			return nil // closes with 1000
		}),
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx := context.Background()
	c, err := pull.Dial(ctx, "ws://"+addr.String()+"/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	for m, err := range c.Messages(ctx) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(string(m.Data))
	}
	// Output:
	// 3
	// 2
	// 1
}

// Requests and responses in JSON.
func ExampleReadJSON() {
	type request struct{ A, B int }
	type response struct{ Sum int }
	srv := &engine.Server{
		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
			for {
				req, err := pull.ReadJSON[request](ctx, c)
				if err != nil {
					return err
				}
				if err := pull.WriteJSON(ctx, c, response{req.A + req.B}); err != nil {
					return err
				}
			}
		}),
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx := context.Background()
	c, err := pull.Dial(ctx, "ws://"+addr.String()+"/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_ = pull.WriteJSON(ctx, c, request{A: 3, B: 4})
	resp, err := pull.ReadJSON[response](ctx, c)
	fmt.Println(resp.Sum, err)
	// Output: 7 <nil>
}

// A gateway from WebSockets to a TCP service, here one that answers in capitals.
func ExampleConn_NetConn() {
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.Close()
	go func() {
		nc, err := service.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		buf := make([]byte, 100)
		for {
			n, err := nc.Read(buf)
			if err != nil {
				return
			}
			_, _ = io.WriteString(nc, strings.ToUpper(string(buf[:n])))
		}
	}()

	srv := &engine.Server{
		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
			tcp, err := net.Dial("tcp", service.Addr().String())
			if err != nil {
				return err
			}
			stream := c.NetConn(engine.Binary)
			go func() {
				defer stream.Close()
				_, _ = io.Copy(stream, tcp)
			}()
			defer tcp.Close()
			_, err = io.Copy(tcp, stream)
			return err
		}),
	}
	addr, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()

	ctx := context.Background()
	c, err := pull.Dial(ctx, "ws://"+addr.String()+"/", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	_ = c.Write(ctx, engine.Binary, []byte("hello"))
	_, data, err := c.Read(ctx)
	fmt.Println(string(data), err)
	// Output: HELLO <nil>
}
