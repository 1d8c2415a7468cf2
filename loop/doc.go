// Package loop owns sockets. A Group runs a few loops; each loop is one
// goroutine over one epoll or kqueue instance and owns every descriptor
// registered with it. The package knows bytes only: what they mean is the
// business of the [Handler].
//
// # For embedders
//
// Programs with WebSockets use package engine. Use this one for a protocol of your own:
// [Start] a [Group], give it a [Listener], dial or adopt connections, and embed [Conn] in
// a [Handler]. [WritePolicy] bounds what waits, [DiscardHandler] what comes after Close,
// [PanicHandler] decides about panics.
//
// The rest serves package engine and may change in any release: methods whose names end
// in Locked, the ledger of a [Loop] (Hold, Refer, Forget, Held, Budget), the turns of
// connections that have much to do (Charge, Spend, KeepTurn, EndTurn), and BindLate,
// GoroutineID, Isolate, IsolateTLS, OnBehalf and Poison.
//
// # The path of bytes
//
//	descriptor readable   poller.run -> Loop.ready -> Conn.readReady
//	one recv              into the loop's own 64 KiB buffer
//	Handler.OnData        on the loop; the bytes are borrowed until it returns
//	Conn.Write            corked: appended to the outbox
//	Conn.leave            the event ends: one send for all that was queued
//
// # Threads
//
// Callbacks of a Handler run on the loop that owns its Conn, one at a time.
// Methods of Conn say who may call them; Write, WriteShared, Close, Notify, Do
// and the addresses are safe from any goroutine. A Conn is never reused and
// its descriptor number becomes -1 under its lock before the number is closed,
// so neither a late Write nor a stale event can reach another connection.
//
// A callback may not return: it panics, or ends its goroutine by runtime.Goexit. The
// loop goes on with everything else on another goroutine. The connection is dropped,
// with a *[PanicError], unless its handler is a [PanicHandler] that does better.
// What would wait for a loop returns [ErrInCallback] on it.
//
// # Platforms
//
// Linux has epoll, macOS and FreeBSD have kqueue. Other systems, Windows among them,
// and programs built with -tags portable have goroutines that read and write for the
// loops: slower, and with a goroutine and buffers for each connection. What a peer
// has acknowledged is unknown there. What a connection was written counts as sent
// once the 64 KiB between it and its goroutine have taken it.
//
// # Corking
//
// While the loop is inside an event of a connection, that connection is
// corked: writes append to its outbox, and one send leaves when the event
// ends. Outside an event a Write goes straight to the socket if nothing is
// queued before it. A queue that the socket did not take waits for the
// descriptor to become writable.
//
// # Encryption
//
// [Conn.StartTLSServer] and [Conn.StartTLSClient] put TLS between the handler
// and the socket, by crypto/tls over a transport without a socket. The handshake
// has a goroutine for as long as it lasts, one of [Config].MaxHandshakes, of
// which few compute at a time. Afterwards the loop decrypts what it received
// before OnData, and whoever flushes the queue encrypts: the queue holds bytes as
// they were written, shared ones by reference, and at most one batch of
// ciphertext that the socket did not take. An idle connection holds no buffer.
package loop
