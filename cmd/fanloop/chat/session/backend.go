package session

import (
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// Output is the way to the client.
type Output interface {
	// Send sends a frame behind all that were sent before. It returns an error where some
	// data of the frame cannot be encoded; then nothing was sent.
	Send(protocol.Frame) error
	// Close sends a last frame, unless it is nil, and closes. Nothing is sent after it,
	// and the owner calls Session.End when the connection is closed.
	Close(protocol.CloseCode, *protocol.Closing)
}

// Identity is who the client is, as a token or a hook says.
type Identity struct {
	User   string
	Name   string
	Grants *rules.Grants
	// Expires is when the token expires, by Config.Now, as the client is told; zero: never.
	Expires time.Time
	// Grace is how much longer the connection lasts, since clocks differ.
	Grace time.Duration
}

// until is when the connection ends; zero: never.
func (i *Identity) until() time.Time { return with(i.Expires, i.Grace) }

// Entry is what a client is told when it is connected. The session does not keep it.
type Entry struct {
	Session string // what the client brings next time
	State   protocol.State
	Topics  []string // where the user belongs, if that is known
}

// Grant is what a topic token or a hook adds to the rights in a topic. A subscription has
// one at a time. Who gave it may take it away, by Session.Withdraw.
type Grant struct {
	Rights  rules.Rights
	Expires time.Time     // by Config.Now, as the client is told; zero: never
	Grace   time.Duration // how much longer it counts, since clocks differ
	// Release is called once, when the grant is not used any more; nil: nobody needs to know.
	Release func()
}

// until is when the rights end; zero: never.
func (g *Grant) until() time.Time {
	if g == nil {
		return time.Time{}
	}
	return with(g.Expires, g.Grace)
}

// rights are those that it adds by now.
func (g *Grant) rights(now func() time.Time) rules.Rights {
	if g == nil {
		return 0
	}
	if until := g.until(); !until.IsZero() && !now().Before(until) {
		return 0
	}
	return g.Rights
}

// release says that the grant is not used any more.
func (g *Grant) release() {
	if g != nil && g.Release != nil {
		g.Release()
	}
}

// with is a time that is not never, and some grace.
func with(t time.Time, grace time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(grace)
}

// Delivery is a subscription of the backend. Its methods are called once each, Start
// perhaps never.
type Delivery interface {
	// Start begins to send the topic's frames.
	Start()
	// Stop ends that. No frame is sent after it has returned.
	Stop()
}

// Opened is a subscription that was opened and delivers nothing yet.
type Opened struct {
	// Answer has what the client begins with. Ref, Topic, Attempt and TTL are set later.
	Answer   protocol.Subscribed
	Delivery Delivery
}

// Backend does what takes longer than a moment. Its methods return at once. They call
// done once, perhaps before they return. Errors are answered as [protocol.Error] if
// they are one, by their code if they are a [protocol.Code], and as an internal error
// otherwise. What they are given is not changed afterwards.
type Backend interface {
	Rates
	// Connect checks who the client is.
	Connect(c *protocol.Connect, done func(Identity, Entry, error))
	// Refresh checks a new token of the connection. One of another user is refused.
	Refresh(who *Identity, token string, done func(Identity, error))
	// Authorize says what rights a user has in a topic besides those of who: by a topic
	// token, which may be empty, or by a hook. A nil Grant adds nothing.
	Authorize(who *Identity, topic, token string, done func(*Grant, error))
	// Open opens a subscription. Last is 0, Pos is nil, Presence is false and the kind read
	// is left out where the user has no right to what they ask for. wanted reports, on the
	// goroutine of the session, whether the attempt is still the latest of its topic: one that is
	// not takes nothing that attempts of the connection share, and done is called with any error.
	// What ends it later calls Session.Unsubscribe.
	Open(who *Identity, c *protocol.Subscribe, wanted func() bool, done func(Opened, error))
	// Author says who wrote a message that is to be changed, or reacted to.
	Author(topic string, target protocol.Target, done func(user string, err error))
	// Publish stores a message. author is what Author said of the one that it changes. If it
	// asks somebody first, it calls may before it stores, on the goroutine of the session:
	// rights may have ended meanwhile.
	Publish(who *Identity, c *protocol.Publish, author string, may func() error, done func(*protocol.Published, error))
	// History reads a page.
	History(c *protocol.History, done func(*protocol.Page, error))
	// Members reads a page of users.
	Members(c *protocol.GetPresence, done func(*protocol.Members, error))
	// Set sets a keyed value, or takes it away if data is nil.
	Set(topic, kind, key string, data protocol.Data) error
	// Read moves the user's marker: forward for a Read, back for an Unread.
	Read(who *Identity, c protocol.Command, done func(*protocol.MarkerIs, error))
}

// Config is the same for all sessions of a service.
type Config struct {
	// Rules are those of now; they may be replaced.
	Rules func() *rules.Rules
	// Now is the time; only differences count.
	Now func() time.Time
	// Limits are announced to clients.
	Limits protocol.Limits
	// Ping is how often the server looks after the connection.
	Ping time.Duration
	// Addresses are where clients may go besides; nil: nowhere.
	Addresses func() []string
	// ConnectWithin is how long a client may take for its first command.
	ConnectWithin time.Duration
	// Development: nobody is asked for a token.
	Development bool
}

// addresses are those of now.
func (c *Config) addresses() []string {
	if c.Addresses == nil {
		return nil
	}
	return c.Addresses()
}

// Rates decide whether a command is carried out now. Its methods return nil, or how long to
// wait: a [protocol.Error] with a delay. A command that could not be read is nil.
type Rates interface {
	// Arrived is called for each command when it comes: by the rates of the address and, if it
	// is known who the client is, of the user.
	Arrived(protocol.Command) error
	// Waited is called for each command that came before that was known, when it is known: by
	// the rate of the user.
	Waited(protocol.Command) error
}
