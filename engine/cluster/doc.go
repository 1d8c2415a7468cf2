// Package cluster gives topics a history that several nodes share, and lets a
// client that was away go on, on any node, with exactly the message after the
// last one it had.
//
// A [Broker] stores the messages of each topic in one order and delivers new
// ones to the nodes that follow the topic. Live delivery may lose, repeat and
// delay messages. A [Node] makes a gapless chain of them: every message names
// the one before it, and where that is not what the node has, it reads the hole
// from the broker's history. It keeps the last messages of each topic in memory,
// so clients that come back are answered without the broker.
//
// A client follows a topic with a [Subscription]: Next returns the messages after
// the client's [Position], at most a [Budget] of them at a time. A subscriber
// that reads slowly holds no messages; it goes on from memory, and further behind
// from history. When the message at a position is not there any more, Next says
// so once with [Batch.Lost] and goes on from the topic's end.
//
// [Node.Before] scrolls back, page by page. Package live below this one delivers
// topics to WebSockets, each message encoded once for all that are up to date.
//
// What needs no history goes over a [Bus], which may lose messages. Packages below
// this one are made of it: presence (who is in a topic), keyed (the last value for
// each key) and passive (that there is something).
//
// A notify of this package, and the callbacks of presence, keyed, passive, relay and
// natsbroker, run on goroutines of the library and belong to no connection. They have to
// return: a panic there ends the process, as on any goroutine of a program, and
// runtime.Goexit would end what the goroutine does for others. Package live guards its own.
//
// The package knows no broker of its own. Package natsbroker below it has one on
// NATS JetStream, and clustertest one in memory whose faults are chosen by a seed.
package cluster
