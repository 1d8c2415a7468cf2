// Package protocol has the frames that a client and the chat service send each
// other, as types, and reads and writes them in JSON and in CBOR. PROTOCOL.md in the
// folder above describes them; a test compares the two.
//
// A server reads what a client sent with [Commands], which bounds and checks
// everything, and answers with [Encoding.Append]. A client does the reverse with
// [Encoding.Append] and [Frames]. No function here keeps a byte of what it is given.
package protocol
