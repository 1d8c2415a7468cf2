// Package pull has blocking reads and writes of a WebSocket: a [Conn] is read and
// written by goroutines of yours, over the event loops of package engine.
//
//	srv := &engine.Server{
//		OnUpgrade: pull.Serve(func(ctx context.Context, c *pull.Conn, _ *engine.Request) error {
//			for m, err := range c.Messages(ctx) {
//				if err != nil {
//					return err
//				}
//				if err := c.Write(ctx, m.Op, m.Data); err != nil {
//					return err
//				}
//			}
//			return nil
//		}),
//	}
//	log.Fatal(srv.ListenAndServe())
//
// # Contents
//
//   - Open: [Serve] for a server, [Dial] for a client, [New] for a WebSocket that also
//     has callbacks.
//   - Read: [Conn.Read] and [Conn.Messages] for whole messages, [Conn.Reader] for one of
//     any size.
//   - Write: [Conn.Write] for a whole message, [Conn.Writer] for one of any size.
//   - JSON and other encodings: [ReadJSON], [WriteJSON], [ReadAs], [WriteAs].
//   - A stream of bytes: [Conn.NetConn].
//   - Other: [Conn.Ping], [Conn.Context], [Conn.Close], [Conn.CloseNow].
//
// # Backpressure
//
// At most [MaxWaiting] bytes wait in a Conn for its reader, each piece of a message
// counting 64 more, and one piece beyond that: what the loop read at once, up to 64
// KiB, or a compressed message, which is up to Limits.MaxMessage. Then the Conn pauses
// reading: the loop keeps what it has read, up to 64 KiB, and TCP slows the peer down.
// Reading goes on when half of it has been read. A Read puts together a message of up
// to Limits.MaxMessage, and keeps what it has of one when its context ends. What waits
// counts for Limits.MaxMemory, from 4 KiB on and until the connection has ended.
//
// A Write waits while the queue of the WebSocket is full (Limits.MaxQueued). So two
// programs that both write without reading get as far as both queues, the buffers of
// the kernel and MaxWaiting allow. Then both wait until one reads, its context is
// done, or Limits.WriteTimeout drops the connection. Read on another goroutine than
// the one that writes, or raise MaxQueued.
//
// While reading is paused, frames of the peer are not processed: its pings are not
// answered, its pongs end no [Conn.Ping], and its close frame ends no Write. Before
// that, all of these work without a reader. A program that only writes should discard
// incoming messages, on a goroutine that ranges over Messages.
//
// # The end
//
// After the end of the connection a read returns the messages that came before it
// first, and then why it ended: a *[engine.CloseError] after a closing handshake, or
// what [engine.WebSocket.Err] returns. Use errors.As and errors.Is. The part of a
// message that came before the end is dropped.
//
// # Goroutines
//
// One goroutine at a time may read from a Conn; a second one gets [ErrConcurrentRead].
// Any number may write, ping and close at the same time. Waiting writers get their
// turn in order.
//
// # Cost
//
// A Conn costs a connection about 600 bytes, and a goroutine that waits in Read about
// 2.7 KiB, 2 of them its stack. (Go 1.26, linux/amd64, 1000 connections.)
package pull
