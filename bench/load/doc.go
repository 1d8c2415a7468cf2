// Package load is the client side of the benchmark: thousands of WebSocket
// connections on fanloop's own loops that send, verify and time messages.
//
// A message's way: a worker (one per loop) stamps the message with its sender,
// its place in the order and the time at which it was to leave, and writes it;
// the server sends it back, or to everybody; OnData of the receiving connection
// checks every byte and the order, and records the latency in the worker's
// histogram. No message allocates, and no lock is shared between loops.
//
// A [Generator] does one process's part: Open, then Work, Settle and Seen for each
// slice, or Measure and Settle for each window of an open loop, then Close. [Serve] and [Remote] put one into a process of its
// own, pinned to its own CPUs, with the same methods.
package load
