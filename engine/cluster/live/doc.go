// Package live delivers topics with a history to WebSockets.
//
// A [Topics] connects a [cluster.Node] with an [engine.Server]. A new message of a
// topic is encoded once for the node and published to a topic of the engine, whose
// subscribers are the WebSockets that are up to date: they are live. The others
// catch up: they get pages from what the node keeps in memory, or from the
// broker's history, as their queues drain. Whoever has everything becomes live,
// with nothing missing and nothing twice in between. A live subscriber that reads
// too slowly catches up again, on the same connection.
//
// What a subscriber gets after [Topics.Subscribe] is one first page, which says
// whether its position was recovered, and then every message of the topic behind
// that page's position, once and in order, in pages and as live messages. Where
// messages are lost, which only the broker can do, it gets a page with Reset
// instead and goes on behind the position of that page.
//
// The memory of a slow subscriber is bounded by Limits.HighWater of its connection
// and a page; it has no goroutine. What frames look like is the application's
// choice: see [Encoder].
//
// A callback that panics or calls runtime.Goexit ends neither the process nor the topic.
// Server.MaySubscribe and Config.Ended end their connection with 1011, as callbacks of the
// engine do; an Encoder leaves out what it was called with, and a Reset follows.
package live
