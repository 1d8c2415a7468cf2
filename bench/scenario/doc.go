// Package scenario measures WebSocket servers with the clients of package load.
//
// A run's way: [Catalog] turns names into servers, building what is needed;
// [Run] takes each [Spec] and starts the servers pinned to one set of CPUs, and
// generators in processes of their own, pinned to another set. What messages cost is
// measured with all servers up and connected at once, which take turns of a moment
// (A B C C B A); memory, and latency in an open loop, with one server after the
// other. Every round becomes one report.Round.
package scenario
