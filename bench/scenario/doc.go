// Package scenario measures WebSocket servers with the clients of package load.
//
// A run's way: [Catalog] turns names into servers, building what is needed;
// [Run] takes each [Spec], starts the servers pinned to one set of CPUs, and
// works on them in turn (A B C A B C) with generators in processes of their
// own, pinned to another set. Every round becomes one report.Round.
package scenario
