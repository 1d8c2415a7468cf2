package engine

import (
	"math"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// bounds are Limits as they are applied.
type bounds struct {
	asked   Limits             // without defaults
	limits  Limits             // with them
	reader  codec.ReaderConfig // of connections that send plain messages
	deflate codec.ReaderConfig // of those that agreed on compression
	policy  loop.WritePolicy
}

func newBounds(role codec.Role, asked Limits) bounds {
	b := bounds{asked: asked, limits: asked.WithDefaults()}
	b.reader = b.limits.reader(role)
	b.deflate = b.reader
	b.deflate.Rsv1 = true
	b.policy = b.limits.policy()
	return b
}

// mostLate is how many bytes a peer may send after the close frame, or the refusal of its
// handshake: the message that it has begun, and what it sends before it has read either.
func (l Limits) mostLate() int {
	if l.MaxMessage <= 0 {
		return 2 * maxLate
	}
	return int(min(l.MaxMessage, math.MaxInt-maxLate)) + maxLate
}

func (l Limits) head() handshake.Limits {
	return handshake.Limits{MaxHead: l.MaxHead, MaxHeaders: l.MaxHeaders}
}

func (l Limits) reader(role codec.Role) codec.ReaderConfig {
	return codec.ReaderConfig{Role: role, MaxMessage: l.MaxMessage, MaxFragments: l.MaxFragments}
}

func (l Limits) policy() loop.WritePolicy {
	return loop.WritePolicy{Limit: max(l.MaxQueued, 0), High: l.HighWater, Low: l.LowWater}
}
