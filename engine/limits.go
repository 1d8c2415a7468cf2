package engine

import "time"

// Limits bounds what a peer may cost. 0 means the default. NoLimit turns off a limit whose
// comment says that it can be off. Listen, Serve and Dial refuse values that make no sense;
// Validate finds them.
type Limits struct {
	// MaxHead and MaxHeaders bound the head of the opening handshake, in bytes and in
	// lines. Beyond them a server answers 414 or 431. Defaults: 8 KiB, 100.
	MaxHead    int
	MaxHeaders int
	// HandshakeTimeout bounds the time from connect to the end of the opening handshake;
	// for Dial, everything from the name lookup to the last redirect. Beyond it a server
	// answers 408. Default: 10 s.
	HandshakeTimeout time.Duration

	// MaxMessage bounds a received message, in bytes. Beyond it the connection is closed
	// with 1009. A compressed message is bounded as it arrives and as it inflates. What
	// OnFragment gets is not bounded, unless it is compressed. Default: 1 MiB; can be off.
	MaxMessage int64
	// MaxFragments bounds the frames of one message. Beyond it the connection is closed
	// with 1008. The frames of a message that OnFragment gets are not bounded, unless it
	// is compressed: each piece is delivered, and nothing of it is kept. Default: 16384,
	// and one more for each 64 bytes that arrived, so that a message of MaxMessage may
	// arrive in frames of 64 bytes; can be off.
	MaxFragments int
	// MaxControlRate bounds the ping and pong frames received in one second. Beyond it the
	// connection is closed with 1008. Default: 1000; can be off.
	MaxControlRate int

	// MaxQueued bounds the bytes queued for one connection. Sends beyond it return
	// ErrBackpressure: send again in OnDrain. An empty queue takes one message of any
	// size. Default: 16 MiB; can be off.
	MaxQueued int
	// MaxMemory bounds the memory that all connections of a server make it hold. Each
	// loop gets an equal part. Memory and Stats report how much is held. It counts
	//   - queued messages, with the room of their buffers;
	//   - published messages that wait for a loop or a slow subscriber, once however many
	//     connections share them;
	//   - retained messages, which may take a quarter of it;
	//   - messages that arrived in part, are held while reading is paused, or wait for
	//     Dispatch;
	//   - opening handshakes.
	//
	// It does not count what connections take while nothing waits.
	//
	// Beyond it, the connections that hold most are dropped with ErrOverload. Until they
	// are, sends to connections with queued bytes return ErrBackpressure, publishes for a
	// loop that is behind are refused, and slow subscribers miss what is published.
	// Messages that wait for a loop may take half of its part.
	//
	// Default: a quarter of the memory that the process may use, which is the least of
	// GOMEMLIMIT, the limit of its cgroup, and the memory of the machine. The garbage
	// collector needs about as much again. Can be off. Dial ignores it.
	MaxMemory int
	// HighWater and LowWater are the marks of OnDrain, in bytes queued. OnDrain is called
	// when the queue has shrunk to LowWater after it exceeded HighWater. Both are at most
	// MaxQueued. Defaults: 1 MiB, or half of MaxQueued if that is less; and a quarter of
	// HighWater.
	HighWater, LowWater int
	// WriteTimeout bounds the time in which the peer takes less than 1 KiB of what is
	// queued. Beyond it the connection is dropped, so that a reader of one byte a second
	// does not hold its queue. On Linux the bytes that the peer acknowledged count,
	// elsewhere those that the kernel took. It is noticed within two more WriteTimeouts.
	// Default: 30 s; can be off. The kernel must take an answer of Server.HTTP by 64 KiB,
	// or its rest, within the same time.
	WriteTimeout time.Duration

	// ReadTimeout bounds the time in which the peer sends less than 1 KiB of a message
	// that it has begun. Beyond it the connection is closed with 1008, so that an
	// unfinished message is not held. Messages that OnFragment gets in pieces are not
	// bounded. It is noticed within two more ReadTimeouts. Default: 30 s; can be off. It
	// also bounds the body of a request to Server.HTTP while the handler reads it.
	ReadTimeout time.Duration

	// PingInterval is how long the peer may be silent before it is sent a ping. Default:
	// 30 s; can be off.
	PingInterval time.Duration
	// PongTimeout bounds the silence of the peer after a ping has left this process.
	// Beyond it the connection is dropped. A peer that takes 1 KiB of what is sent to it in
	// that time is alive. Default: PingInterval.
	PongTimeout time.Duration
	// IdleTimeout bounds the time without a message of the peer. Beyond it the connection
	// is closed with 1001. Pongs do not count. A message that is arriving counts while 1 KiB
	// of it arrives in that time. Default: off.
	IdleTimeout time.Duration
	// CloseTimeout bounds the time in which a connection that is closing makes no
	// progress: the peer neither answers the close frame nor takes 1 KiB of what is queued
	// before it. It also bounds how long a refused peer may take to read the answer. A peer
	// that sends more than MaxMessage and 16 MiB meanwhile (32 MiB where MaxMessage is off) is
	// dropped at once. Default: 5 s.
	CloseTimeout time.Duration

	// MaxConnections bounds the connections of a server, including those in the opening
	// handshake and those that Server.HTTP serves. Beyond it a server answers 503.
	// Default: off. Dial ignores it.
	MaxConnections int
}

// WithDefaults returns l with the defaults in place of zeros, as a Server or Dial applies
// it. 0 stays where the default is no number (MaxFragments) or no limit.
func (l Limits) WithDefaults() Limits {
	setDefault(&l.MaxHead, 8<<10)
	setDefault(&l.MaxHeaders, 100)
	setDefault(&l.HandshakeTimeout, 10*time.Second)
	setDefault(&l.MaxMessage, 1<<20)
	setDefault(&l.MaxControlRate, 1000)
	setDefault(&l.MaxQueued, 16<<20)
	setDefault(&l.HighWater, l.highWater())
	setDefault(&l.LowWater, l.HighWater/4)
	setDefault(&l.WriteTimeout, 30*time.Second)
	setDefault(&l.ReadTimeout, 30*time.Second)
	setDefault(&l.PingInterval, 30*time.Second)
	setDefault(&l.PongTimeout, l.PingInterval)
	setDefault(&l.CloseTimeout, 5*time.Second)
	return l
}

// highWater returns the default of HighWater, which a queue of MaxQueued can exceed.
func (l Limits) highWater() int {
	const most = 1 << 20
	if l.MaxQueued < 0 {
		return most
	}
	return max(1, min(most, l.MaxQueued/2))
}

// setDefault sets what is not set. It is not inlined, since 40 callers would be larger for it.
//
//go:noinline
func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
