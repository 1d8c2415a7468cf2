// Package engine is a WebSocket server and client on event loops: a [Server]
// with two closures, a [WebSocket] with callbacks, and [Dial], whose WebSocket
// is the same.
//
// # The path of a message
//
//	descriptor readable -> the loop reads into its buffer
//	handler.OnData      -> codec.Reader yields a message in place
//	WebSocket.deliver   -> your callback, with borrowed bytes
//	WebSocket.Send      -> the frame is appended to the corked outbox
//	the event ends      -> one send
//
// # Threads
//
// Each connection belongs to one loop, and every callback of it runs there,
// one at a time. Callbacks of different connections run on different loops at
// the same time: a variable they share needs a lock or an atomic. A callback
// that blocks holds up every connection of its loop; give slow work to a
// goroutine and answer with Send, which any goroutine may call. One that panics, or
// calls runtime.Goexit, ends its connection with 1011, and nothing else.
//
// # Topics
//
// Two rules. ErrBackpressure of a publish is partial: subscribers of the loops that
// are behind miss the message, the others get it, so do not publish it again. A direct
// send commits what waits: what was published to a slow subscriber before it can no
// longer be dropped or replaced.
//
// # Memory
//
// Bytes given to a callback are borrowed: valid until it returns. Copy what is
// to stay. A build with the tag poison overwrites them afterwards, so that
// tests catch who keeps them.
package engine
