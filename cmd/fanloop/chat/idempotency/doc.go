// Package idempotency carries a request out once, however often it is sent with the
// same key.
//
// A [Key] belongs to one caller and one route. The same key with another body is a
// mistake and is refused. While the first request is under way, the same ones wait for
// it and get its answer; later ones get the answer from memory, until [Config.Keep] has
// passed or the caller has used so many keys that the memory is needed. Each caller has
// memory of its own, so no caller can displace another's keys.
//
// Memory is that of one node. For what must not happen twice on two nodes either, take
// an id from the key: [Key.MessageID].
package idempotency
