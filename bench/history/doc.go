// Package history measures topics with a history: a [cluster.Node] on NATS
// JetStream whose topics reach WebSockets by package live.
//
// [Topics] measures one process with an embedded NATS server: the time from publish
// to delivery at a steady rate over many topics, and what takes memory. [Room]
// measures one message to a crowd: node processes hold the sockets, processes of
// clients count the deliveries, and one NATS server is between. Both check that
// everything arrives.
package history
