// Package engine is a WebSocket server and client on event loops. This is a chat:
// every message goes to every client.
//
//	package main
//
//	import (
//		"log"
//
//		"github.com/fanloop-go/fanloop/engine"
//	)
//
//	func main() {
//		srv := &engine.Server{Addr: "127.0.0.1:9001"}
//		srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { ws.Subscribe("chat") }
//		srv.Callbacks.OnText = func(_ *engine.WebSocket, text []byte) { srv.Publish("chat", engine.TextMessage(text)) }
//		log.Fatal(srv.ListenAndServe())
//	}
//
// # Contents
//
//   - Serve: [Server], [Server.ListenAndServe], [Server.Run], [Server.Handle] with an
//     [Endpoint] for each path, [Server.HTTP] for pages on the same port,
//     [Server.ServeHTTP] and [Server.Upgrade] behind a router.
//   - Decide who may connect: [Server.ShouldUpgrade], [Request], [Reject],
//     [Server.Origin], [Server.BlockingUpgrade].
//   - Dial: [Dial], [DialOptions], [DialError], [DialReconnecting], [ReconnectPolicy].
//   - Receive: [Callbacks], [WebSocket.PauseReading], [Dispatch] for callbacks that block.
//   - Send: [WebSocket.Send], [Prepare], [WebSocket.SendFragment], [ErrBackpressure],
//     [Callbacks.OnDrain].
//   - Publish: [WebSocket.Subscribe], [WebSocket.Resubscribe], [Server.Publish], [Message],
//     [Topic], [Delivery], [Server.MaySubscribe].
//   - Choose what slow readers lose: [Slow], [SlowPolicy], [Callbacks.OnGap].
//   - Attach values and work to a connection: [Set], [Get], [WebSocket.Context],
//     [WebSocket.Go], [WebSocket.Do].
//   - End: [WebSocket.Close], [WebSocket.CloseAt], [Callbacks.OnClose],
//     [Server.Shutdown], [Server.ShutdownWith].
//   - Bound what a peer may cost: [Limits], [NoLimit], [WebSocket.SetLimits],
//     [WebSocket.Hold].
//   - Encrypt and compress: [Server.TLS], [CertificateFiles], [NewTLSListener],
//     [Compression].
//   - Listen: [Server.Listen], [Server.ServeWith], [ListenOptions], [ProxyProtocol].
//   - Measure: [Server.Stats], [Server.Memory], [CloseCause].
//
// Package [github.com/fanloop-go/fanloop/engine/pull] has blocking reads and
// writes, on goroutines of yours.
//
// # Threads
//
// Each connection belongs to one loop, and every callback of it runs there, one at a
// time. Callbacks of different connections run on different loops at the same time: a
// variable that they share needs a lock or an atomic.
//
// A callback that blocks holds up every connection of its loop. Give slow work to a
// goroutine and send from there: sends are safe from any goroutine and never block.
//
// No method of a WebSocket and no publish calls a callback of a connection before it
// returns, or waits for one: after Send, Subscribe, Close or CloseNow the loop calls
// OnDrain, OnGap, OnError or OnClose by itself. So you may hold a lock that callbacks
// take. Two functions are called on your goroutine: Server.MaySubscribe by Subscribe and
// Resubscribe, and Server.Relay by a publish. Hold no such lock in Shutdown and Close of
// a Server, which wait for callbacks.
//
// A callback that panics, or calls runtime.Goexit, ends its connection with 1011, and
// nothing else.
//
// # Memory
//
// Bytes given to a callback are borrowed: valid until it returns. Copy what you keep. A
// build with the tag poison overwrites them afterwards, so that your tests catch code
// that keeps them.
//
// # Topics
//
// Two rules. ErrBackpressure of a publish is partial: subscribers of the loops that
// are behind miss the message, the others get it, so do not publish it again. After a
// direct send, messages already waiting for a slow subscriber are no longer dropped or
// replaced.
//
// # The path of a message
//
//	descriptor readable -> the loop reads into its buffer
//	handler.OnData      -> codec.Parser yields a message in place
//	WebSocket.deliver   -> your callback, with borrowed bytes
//	WebSocket.Send      -> the frame is appended to the corked outbox
//	the event ends      -> one send
//
// # Stability
//
// Before version 1, names may change; CHANGELOG.md says which. Packages codec,
// handshake and loop below this one are for programs that embed a part of it. The
// types of theirs that appear here (OpCode, StatusCode, ProtocolError, Rejection,
// StatusError, PanicError, handshake.Request, handshake.Response,
// handshake.OriginPolicy, loop.Group) change only when this package does.
package engine
