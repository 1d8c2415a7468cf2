// Package relay makes the topics of a Server those of several servers: what one
// publishes, the subscribers of all get. Nothing is stored.
//
// [Join] connects a Server with a [cluster.Bus]. Subscribe, Publish and OnGap are those of
// package engine; the program does nothing else. A server listens to the topics that have
// subscribers on it, and for a while after the last one left.
//
// What a subscriber may rely on:
//
//   - At most once. What one server publishes in a topic comes in that order. Two servers
//     have no common order: subscribers elsewhere may get two publishers' messages the
//     other way round, since each server delivers its own at once.
//   - Never silence. Messages are numbered, for each server and topic. Where one is
//     missing, OnGap is called before the next one of that server is sent, or some seconds
//     after the last one (Config.Tail). OnGap does not say how many are missing: dropped
//     is 0. So Subscribe need not wait for other servers: what they publish before this
//     one listens is such a gap.
//   - What a publish could not send is an error for the publisher (engine.ErrRelay), and a
//     gap for subscribers elsewhere.
//
// What is lost without OnGap is what a server had not sent when its process died, and
// what is lost at the end of a topic if Config.Tail's two attempts to say so are lost too,
// until the server publishes there again.
//
// A retained message stays on the server that publishes it, and on those that listen to
// the topic at that time. Servers do not ask one another: one that begins to listen later
// has what it had, which may be old, or nothing. For last values that are the same on all
// servers use package keyed.
package relay
