// Package chat measures a chat service that runs, by its own protocol: users connect,
// subscribe to their rooms and publish, some are cut off and come back by their
// positions, some read history. One seed decides who does what when.
//
// Every message of every user is checked: each user gets each message of its rooms
// once, in the order of offsets, as it was published. See [Faults].
//
//	plan      who is in which room, and all that is to happen, by the seed
//	ledger    what was published, what each room has, and what each user must get next
//	crowd     the users on one event loop of package loop, and the phases of a run
//
// [Run] is in the process of the caller. A [Remote] runs it in a process of its own, for
// other CPUs; [Child] is that process.
package chat
