// Package session is what the chat service knows of one connection, and how that
// changes: from the commands of a client, and from what the service does by itself,
// to frames that are sent and to calls of a [Backend]. It has no socket, no goroutine
// and no clock of its own, and no lock: the owner of a [Session] calls all of it from
// one goroutine at a time, and so do the functions that a Backend is given.
//
// PROTOCOL.md in the folder above says what a client may rely on. Two rules of it are
// kept here: each command with a ref has one answer, and nothing of a subscription is
// sent in front of its subscribed frame or behind its end.
package session
