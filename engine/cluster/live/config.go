package live

import (
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Encoder makes messages of WebSockets from what subscribers are to get. Its methods
// are called by several goroutines at the same time, without a lock, and must not block:
// other topics wait for the goroutine. What they return is text or binary, and they may return prepared
// messages; Key, Retain and Tag of it are ignored.
//
// If one panics or calls runtime.Goexit, the messages that it was called with are left out,
// and who would have got them gets a page with Reset. If that happens for a page without
// messages, its connection is closed with 1011, or those of all who are live in the topic
// if the page is for them.
type Encoder interface {
	// Message encodes a new message. It is called once for the node, or not at all if
	// nobody is live.
	Message(m *cluster.Message) engine.Message
	// Page encodes what one subscriber gets while it catches up. The zero Message sends
	// nothing.
	Page(p *Page) engine.Message
}

// Page is what a subscriber gets that catches up.
type Page struct {
	Topic string
	// WebSocket is the subscriber's; nil: the page is for all that are live.
	WebSocket *engine.WebSocket
	// Messages are the next ones, in order. They are shared: do not change them.
	Messages []cluster.Message
	// Position is the place behind the page.
	Position cluster.Position
	// First: the page is the answer to Subscribe.
	First bool
	// Reset: messages may be missing in front of Position that nobody gets. If the page
	// is the first, the position that was brought is not recovered.
	Reset bool
	// More: another page follows before the subscriber is up to date.
	More bool
}

// Config is how Topics work. The zero value of each field but Encoder means its
// default.
type Config struct {
	// Encoder makes the frames.
	Encoder Encoder
	// Prefix begins the names of the engine's topics ("live:"). Server.MaySubscribe is
	// asked about these names, without a lock, each time before a connection becomes live.
	// Publish nothing to them. Several Topics of one server need prefixes that do not begin
	// with each other: New panics otherwise.
	Prefix string
	// Page is what a subscriber that catches up gets at a time (128 messages, 64 KiB);
	// more where a single message fills it.
	Page cluster.Budget
	// Within is how long a subscriber may catch up before its connection is closed, with
	// 1013 (1 min). The time in which the broker does not answer is not counted.
	Within time.Duration
	// Workers is how many goroutines encode and send (4), and how many wait for the
	// broker (4).
	Workers int
	// Ended is called when a subscription ends otherwise than by Unsubscribe or with its
	// connection: by the error of Server.MaySubscribe, ErrLagging, or the end of the node.
	// It must not block. If it panics or calls runtime.Goexit, the connection is closed with
	// 1011.
	Ended func(ws *engine.WebSocket, topic string, err error)
}

func (c Config) withDefaults() Config {
	if c.Prefix == "" {
		c.Prefix = "live:"
	}
	if c.Page.Messages <= 0 {
		c.Page.Messages = 128
	}
	if c.Page.Bytes <= 0 {
		c.Page.Bytes = 64 << 10
	}
	if c.Within <= 0 {
		c.Within = time.Minute
	}
	if c.Workers <= 0 {
		c.Workers = 4
	}
	return c
}
