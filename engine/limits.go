package engine

import (
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// Limits bounds what a peer may cost. Zero means the default; a negative
// number or duration turns a limit off where that is said to be possible.
type Limits struct {
	// MaxHead and MaxHeaders bound the head of the opening handshake. Defaults:
	// 8 KiB, 100. The refusal is 414 or 431.
	MaxHead    int
	MaxHeaders int
	// HandshakeTimeout is the time from connect to the end of the opening
	// handshake, for Dial of the whole of it. Default: 10 s. The refusal is 408.
	HandshakeTimeout time.Duration

	// MaxMessage is the largest message received, in bytes. Default: 1 MiB; off
	// if negative. The refusal is 1009. A compressed one is bound as it comes and
	// as it inflates. Messages handed to OnFragment are not bound, unless they are
	// compressed.
	MaxMessage int64
	// MaxFragments is the largest number of frames of one message. Default:
	// 16384, and one more for each 64 bytes that came, so that a message of
	// MaxMessage may come in frames of 64 bytes; off if negative. The refusal is
	// 1008.
	MaxFragments int
	// MaxControlRate is the most ping and pong frames received in one second.
	// Default: 1000; off if negative. The refusal is 1008.
	MaxControlRate int

	// MaxQueued is the most bytes queued for one connection. Default: 16 MiB;
	// off if negative. Sends beyond it return ErrBackpressure; one message to
	// an empty queue is always taken.
	MaxQueued int
	// MaxQueuedTotal is the most bytes queued for all connections of a server,
	// in equal parts for each loop. What is published counts for every
	// subscriber it waits for, though it is in memory once. Default: off. Beyond it, the connections
	// that hold most are dropped first, with ErrOverload, and until that is done
	// sends to connections that have bytes waiting return ErrBackpressure.
	MaxQueuedTotal int
	// HighWater and LowWater are the marks of OnDrain, in bytes queued: it is
	// called when the queue falls to LowWater after it was over HighWater.
	// Defaults: 1 MiB and 256 KiB.
	HighWater, LowWater int
	// WriteTimeout is how long the peer may take less than 1 KiB of what is
	// queued before the connection is dropped: a reader of a byte a second does
	// not hold its queue for ever. On Linux what counts is what the peer
	// acknowledged, elsewhere what the kernel took. Default: 30 s; off if
	// negative. It is noticed within two more WriteTimeouts.
	WriteTimeout time.Duration

	// ReadTimeout is how long the peer may send less than 1 KiB of a message that it
	// has begun, so that what has come of it is not held for ever. Messages handed
	// to OnFragment in pieces are not bound. Default: 30 s; off if negative. It is
	// noticed within two more ReadTimeouts. The refusal is 1008.
	ReadTimeout time.Duration

	// PingInterval is the silence after which a ping is sent. Default: 30 s;
	// off if negative.
	PingInterval time.Duration
	// PongTimeout is how long any sign of life may take after that ping has left
	// this process. A peer that takes 1 KiB of what is sent to it in that time is
	// alive. Default: PingInterval.
	PongTimeout time.Duration
	// IdleTimeout is how long no message may come, pongs not counting. A message
	// that is arriving counts while 1 KiB of it comes in that time. Default: off.
	IdleTimeout time.Duration
	// CloseTimeout is how long a connection that is closing may make no progress:
	// the peer does not answer the close frame, and takes less than 1 KiB of what is
	// queued before it. It also bounds the wait for a refused peer to read why.
	// Default: 5 s.
	CloseTimeout time.Duration

	// MaxConnections is the most connections of a server, including those in
	// the opening handshake. Default: off. The refusal is 503.
	MaxConnections int
}

func (l Limits) withDefaults() Limits {
	setDefault(&l.MaxHead, 8<<10)
	setDefault(&l.MaxHeaders, 100)
	setDefault(&l.HandshakeTimeout, 10*time.Second)
	setDefault(&l.MaxControlRate, 1000)
	setDefault(&l.MaxQueued, 16<<20)
	setDefault(&l.HighWater, 1<<20)
	setDefault(&l.LowWater, l.HighWater/4)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.ReadTimeout, 30*time.Second)
	setDefault(&l.PingInterval, 30*time.Second)
	setDefault(&l.PongTimeout, l.PingInterval)
	setDefault(&l.CloseTimeout, 5*time.Second)
	return l
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
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
