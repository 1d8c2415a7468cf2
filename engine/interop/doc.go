// Package interop tests engine with programs of others: browsers, curl, openssl,
// Node's ws, Python's websockets, and other WebSocket packages of Go. It also shows
// engine behind chi, with certificates of Let's Encrypt and under systemd. It is a
// module of its own, so that programs that use engine need none of these.
package interop
