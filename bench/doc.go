// Package bench measures the CPU time a WebSocket echo server spends per message, next to
// a plain C epoll server (floor/floor.c) in the same interleaved run.
//
// A run's way: [Build] compiles the floor and the load client, [Run] takes each
// [Scenario], starts every [Server] pinned to one CPU and lets the client, pinned to
// another, work on them in turn (A B C A B C); the client counts messages and reads the
// server's CPU clock over one and the same window. A [Report] keeps every round, and its
// [Summary] gives the median of the per-round ratios to the floor.
//
// What the figures mean, and what they do not, stands in README.md.
package bench
