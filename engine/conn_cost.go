package engine

import "github.com/fanloop-go/fanloop/loop"

// What input costs its loop, in the unit of loop.Cost: about a nanosecond. A
// callback is reckoned as if it did little, for what it computes is not known.
// Inflating is reckoned as it goes, by codec.Inflater.
const (
	costFrame  loop.Cost = 100 // to find one, and to call a callback
	costPacked loop.Cost = 32  // what a byte of a compressed message is likely to cost
)

// costOf is the cost of frames with n bytes altogether, which are unmasked, checked
// to be UTF-8, and copied where a message is not whole.
func costOf(frames uint32, n int) loop.Cost { return loop.Cost(frames)*costFrame + loop.Cost(n)/4 }
