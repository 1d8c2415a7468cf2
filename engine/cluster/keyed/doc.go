// Package keyed has the last value for each key of a topic, on all nodes: who is
// typing, cursors, positions of readers, prices.
//
// A value lives for a time after it was set, and is gone then by itself. Set it
// again before that to keep it. It is not stored: it is with the node that set it,
// and with those that have subscribers. What is lost between nodes is repaired.
//
// A subscriber gets all values there are, and then what changes. One that is slow,
// and a topic that changes faster than its cap, get the latest value of each key and
// none of those in between. Keys that are gone are in front of the values of a batch.
// One that has read keys, and is far behind when they are gone, begins anew (Reset).
//
// Two nodes that set one key agree on the value that was set last, by their clocks,
// though it was set for the second time and nobody had to be told;
// a node that has seen the other's value sets a later one, however its clock is. When
// a node dies or ends, its values are gone within 15 s, and an older value of another
// node shows again if it is still alive.
package keyed
