// Package codec turns bytes into WebSocket frames and messages and back
// (RFC 6455). It does no I/O, starts no goroutine and knows no socket.
//
// # For embedders
//
// Programs with WebSockets use package engine. Use this one for frames over a transport
// of your own: [Reader], [ParseHeader], [AppendFrame], [AppendMaskedFrame],
// [AppendClosePayload], [ParseClosePayload].
//
// What compresses ([Deflater], [Inflater], [Window]), and what a Reader says of its
// buffers (Held, Keep, Pending, Frames), serves package engine and may change in any
// release.
//
// # The way of a message in
//
// The owner of a connection reads bytes into a buffer of its own and gives them
// to [Reader.Next]. [ParseHeader] decodes the frame header in place, one switch
// checks it against the rules of RFC 6455 section 5, and the payload is unmasked
// where it lies. A message that is one frame and wholly in the buffer is handed
// out from there without a copy. Anything else moves to a pooled buffer that
// grows with the bytes that arrived, never with a length a peer declared, and
// goes back to the pool once the message was delivered.
//
// # The way of a message out
//
// [AppendFrame] (server side) and [AppendMaskedFrame] (client side) append one
// frame to a slice of the caller. [AppendHeader] and [PutHeader] write the
// header alone, for a payload that is sent from where it is.
//
// # Errors
//
// A broken rule is reported as a [*ProtocolError]. It carries the status code to
// send in the close frame with which the connection fails (section 7.1.7).
package codec
