package engine

import "time"

// Limits bounds what a peer may cost. 0 means the default. NoLimit turns off a limit
// whose comment says that it can be off. Listen, Serve and Dial refuse values that cannot
// be meant; Validate finds them.
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
	// and one more for each 64 bytes that came, so that a message of MaxMessage may come
	// in frames of 64 bytes; can be off.
	MaxFragments int
	// MaxControlRate bounds the ping and pong frames received in one second. Beyond it the
	// connection is closed with 1008. Default: 1000; can be off.
	MaxControlRate int

	// MaxQueued bounds the bytes queued for one connection. Sends beyond it return
	// ErrBackpressure. An empty queue takes one message of any size. Default: 16 MiB; can
	// be off.
	MaxQueued int
	// MaxMemory is the most bytes of memory that all connections of a server may
	// make it hold, in equal parts for each loop: what is queued, with the room of
	// its buffers; what is published and waits for a loop or a slow subscriber,
	// once however many share it; retained messages, a quarter of it at most; messages
	// received in part, held while reading is paused, or waiting for Dispatch; opening
	// handshakes. Memory and Stats tell how much that is. What connections take while
	// nothing waits is not in it.
	//
	// Beyond it, the connections that hold most are dropped first, with
	// ErrOverload. Until that is done, sends to connections that have bytes waiting
	// return ErrBackpressure, and so do publishes for a loop that is behind; slow
	// subscribers miss what is published. What waits for a loop has half of its part
	// at most.
	//
	// Default: a quarter of the memory that the process may use, which is the least
	// of GOMEMLIMIT, the limit of its cgroup, and what the machine has. The garbage
	// collector needs about as much again. Can be off. Dial ignores it.
	MaxMemory int
	// HighWater and LowWater are the marks of OnDrain, in bytes queued: it is
	// called when the queue falls to LowWater after it was over HighWater. At most
	// MaxQueued. Defaults: 1 MiB, or half of MaxQueued if that is less; and a
	// quarter of HighWater.
	HighWater, LowWater int
	// WriteTimeout is how long the peer may take less than 1 KiB of what is
	// queued before the connection is dropped: a reader of a byte a second does
	// not hold its queue for ever. On Linux what counts is what the peer
	// acknowledged, elsewhere what the kernel took. Default: 30 s; can be off. It
	// is noticed within two more WriteTimeouts. Of an answer of Server.HTTP, the
	// kernel has to take 64 KiB in that time, or the rest.
	WriteTimeout time.Duration

	// ReadTimeout is how long the peer may send less than 1 KiB of a message that it
	// has begun, so that what has come of it is not held for ever. Messages handed
	// to OnFragment in pieces are not bounded. Default: 30 s; can be off. It is
	// noticed within two more ReadTimeouts. Beyond it, the connection is closed
	// with 1008. It bounds the body of a request to Server.HTTP too, while the
	// handler waits for it.
	ReadTimeout time.Duration

	// PingInterval is how long the peer may be silent before it is sent a ping. Default:
	// 30 s; can be off.
	PingInterval time.Duration
	// PongTimeout is how long any sign of life may take after a ping has left this process.
	// Beyond it the connection is dropped. A peer that takes 1 KiB of what is sent to it in
	// that time is alive. Default: PingInterval.
	PongTimeout time.Duration
	// IdleTimeout is how long no message may come. Beyond it the connection is closed with
	// 1001. Pongs do not count. A message that is arriving counts while 1 KiB of it comes in
	// that time. Default: off.
	IdleTimeout time.Duration
	// CloseTimeout is how long a connection that is closing may make no progress:
	// the peer does not answer the close frame, and takes less than 1 KiB of what is
	// queued before it. It also bounds the wait for a refused peer to read why.
	// Default: 5 s.
	CloseTimeout time.Duration

	// MaxConnections is the most connections of a server, including those in
	// the opening handshake and those that Server.HTTP serves. Default: off.
	// Beyond it, a server answers 503. Dial ignores it.
	MaxConnections int
}

// WithDefaults returns l with the defaults in place of zeros: what a Server or
// Dial goes by. Where the default is no number (MaxFragments) or no limit, 0 stays.
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

// highWater is the default of HighWater, in reach of a queue of MaxQueued.
func (l Limits) highWater() int {
	const most = 1 << 20
	if l.MaxQueued < 0 {
		return most
	}
	return max(1, min(most, l.MaxQueued/2))
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
