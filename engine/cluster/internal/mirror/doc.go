// Package mirror copies what each node has of a topic, as values by keys, to the
// nodes that watch the topic. Presence and keyed topics are made of it.
//
// A node is the only one to change its values, so there is nothing to agree on: a
// watcher has one copy for each node. Changes are sent as deltas, with the sum of
// all values behind them. A copy that has another sum asks its owner, with the sums
// of its parts (buckets), and gets those that differ. Deltas may be lost, repeated
// and reordered. A digest, which is a delta without changes, follows each change
// after one second, two, four and so on, up to half a minute. A watcher asks an owner
// that is silent for longer.
//
// Owners send only while somebody wants to know: watchers say so at the same pace.
// Each node sends a beat every few seconds; what nobody hears of any more is dropped
// with all its copies.
package mirror
