// Package api is the server API of the chat: what a backend sends to a node's admin
// address, and a client for it.
package api
