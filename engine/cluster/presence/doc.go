// Package presence knows who is in a topic, on all nodes.
//
// A node joins its users to a topic; several connections of one user, on whatever
// nodes, are one presence with a count. A user whose last connection is gone stays
// for the grace time, so a reconnect is no leave. A node that watches a topic has
// all its users in memory, and no other does. Nothing is stored: what the nodes tell
// each other may be lost and is repaired, and the users of a node that dies are gone
// within 15 s.
//
// [Presence.Watch] gives updates for the clients of a topic, which all get the same:
// publish each to them as it comes. How much is in them is the topic's [Level]. Their
// size is bounded for each second, whatever happens in the topic: what does not fit
// waits, and who came and left meanwhile is not mentioned at all.
package presence
