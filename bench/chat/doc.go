// Package chat measures a running chat service by its own protocol. Users connect, subscribe
// to their rooms and publish. Some lose their connection and resume from their positions,
// some read history. One seed decides who does what, and when.
//
// Every delivery is checked: each user must get each message of its rooms once, in the order
// of offsets, with the content that was published. See [Faults].
//
//	plan      which user is in which room, and every event of the run; made from the seed
//	ledger    what was published, what each room has, and what each user must get next
//	crowd     the users, on one event loop of package loop
//	run       the phases of a run, and its figures
//
// [Run] runs in the process of the caller. A [Remote] runs it in a child process, which can
// use other CPUs; [Child] is what that process runs.
package chat
