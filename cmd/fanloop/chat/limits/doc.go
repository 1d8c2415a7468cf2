// Package limits bounds what one user and one address may use of this node:
// connections and subscriptions at a time, and commands, bytes and new connections by
// rate.
//
// A [Table] has one kind of who: users by their names, or addresses by [Network]. Who
// is connected has a [Place] in it, which answers without a look-up. Who is not is
// remembered until the rates have recovered, or until others need the memory.
//
// A rate is a token bucket: so much in a second, and so much at once after a quiet
// time. Commands have costs. While the server stood still (the process was stopped,
// the machine paused), clients went on sending, and what they sent in good order
// arrives at once. [Clock] notices that and counts the time in their favour.
package limits
