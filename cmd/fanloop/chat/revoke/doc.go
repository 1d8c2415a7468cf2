// Package revoke ends tokens before their time, on all nodes.
//
// A [List] has the revocations of users, sessions and tokens. Each is kept as long as
// a token can be good that it concerns, so the list is bounded by what is revoked in
// one lifetime of a token. A revocation of a user concerns the tokens that were issued
// up to a time; tokens that the user gets later are good.
//
// Each connection registers with [List.Register], which looks at the list and adds the
// connection in one step: a revocation that comes before refuses it, and one that
// comes after ends it. There is nothing in between, however long a handshake takes.
// [Registration.Refresh] does the same with another token. What a topic token opens registers
// in the same way.
//
// Nodes tell each other of revocations over a cluster.Bus, which may lose messages.
// Each node sends the sum of its list twice a second. A node that hears another sum
// asks for the part that differs, so whoever missed something has it a moment later: a
// message that was lost, a partition, a restart. [List.Revoke] returns when all nodes
// that are known have it and what it ends there has ended, or says which have not.
//
// A node that was cut off goes on with what it knows, and catches up when it is back.
// [List.Alone] says that it hears nobody it knew; refuse new connections then if that
// matters more than to serve them. [List.Ready] is closed when a new node has what the
// others have.
//
// With a [File], revocations survive the end of all nodes.
package revoke
