package chat

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/loop"
)

// user is one client of the service. Owned by the loop.
type user struct {
	crowd   *crowd
	n       int32
	session string
	views   []view
	conn    *conn // nil while away
	began   int64 // clock when the connection was asked for
	joined  int   // live subscriptions of this connection
	in      bool  // all of them have been live at once
	attempt uint32
	waiting []waiting // in the order of publishing
	reads   map[protocol.Ref]pageRead
	reason  string // of the last closing frame
}

// waiting is a message to publish that has not been acknowledged yet.
type waiting struct {
	number int32
	sent   bool // on this connection
}

// pageRead is a page of history that was requested.
type pageRead struct {
	view int
	at   int64
}

// Refs of commands. The attempt is added to refSubscribe, the number of the message to
// refPublish, and the number of the page to refRead.
const (
	refConnect   = 1
	refSubscribe = 16
	refPublish   = 1 << 24
	refRead      = 1 << 30
)

// hello sends connect and all subscriptions, in as few messages as possible.
func (u *user) hello() {
	k := &u.crowd.ledger
	commands := []protocol.Command{&protocol.Connect{Ref: refConnect, Version: protocol.Version, User: k.userName(u.n), Session: u.session}}
	u.joined, u.attempt = 0, 0
	for i := range u.views {
		commands = append(commands, u.subscription(&u.views[i]))
	}
	for list := range slices.Chunk(commands, perMessage) {
		u.send(list...)
	}
}

// perMessage bounds the commands in one message. The service allows 64 by default.
const perMessage = 50

// subscription returns the command that subscribes v, from its last position.
func (u *user) subscription(v *view) protocol.Command {
	u.attempt++
	v.live, v.attempt = false, u.attempt
	return &protocol.Subscribe{
		Ref: protocol.Ref(refSubscribe + u.attempt), Topic: v.room.topic, Attempt: u.attempt,
		Pos: v.position(), Presence: u.crowd.config.Presence,
	}
}

// send encodes commands into one message and writes it.
func (u *user) send(commands ...protocol.Command) {
	c := u.crowd
	c.message = c.message[:0]
	for _, command := range commands {
		var err error
		if c.message, err = c.encoding.AppendCommand(c.message, command); err != nil {
			c.fail(err)
			return
		}
	}
	op := codec.Text
	if c.encoding == protocol.CBOR {
		op = codec.Binary
	}
	c.frame = codec.AppendMaskedFrame(c.frame[:0], op, true, c.message)
	_ = u.conn.Write(c.frame, nil) // an error means that OnClose follows
}

// here reports whether the user is connected and subscribed to all of its rooms.
func (u *user) here() bool { return u.conn != nil && u.joined == len(u.views) }

// publish sends a message now, or when the user has reconnected.
func (u *user) publish(number int32) {
	u.waiting = append(u.waiting, waiting{number: number})
	u.submit()
}

// submit sends every waiting message that was not sent on this connection.
func (u *user) submit() {
	if !u.here() {
		return
	}
	for i := range u.waiting {
		if w := &u.waiting[i]; !w.sent {
			w.sent = true
			u.send(u.publication(w.number))
		}
	}
}

func (u *user) publication(number int32) protocol.Command {
	k := &u.crowd.ledger
	m := &k.messages[number]
	if m.due == 0 {
		m.due = u.crowd.now() // the author was away when it was due
	}
	return &protocol.Publish{
		Ref: protocol.Ref(refPublish + number), Topic: k.rooms[m.room].topic, ID: k.id(int(number)), Data: k.data(int(number)),
	}
}

// read requests the last page of a room. It does nothing while the user is away.
func (u *user) read(which int32) {
	if !u.here() {
		return
	}
	if u.reads == nil {
		u.reads = make(map[protocol.Ref]pageRead)
	}
	ref := protocol.Ref(refRead + u.crowd.pages)
	u.crowd.pages++
	u.reads[ref] = pageRead{int(which), u.crowd.now()}
	u.send(&protocol.History{Ref: ref, Topic: u.views[which].room.topic, Limit: pageSize})
}

// pageSize is the number of messages requested as one page.
const pageSize = 50

// presenceFrame is the prefix of frames that are skipped without decoding.
var presenceFrame = []byte(`{"type":"presence"`)

// receive handles the frames of one message. A frame that equals the next expected message of
// a room is matched by its bytes. Other frames are decoded.
func (u *user) receive(p []byte, at int64) {
	for len(p) > 0 {
		if n := u.known(p, at); n > 0 {
			p = p[n:]
			continue
		}
		if u.crowd.encoding == protocol.JSON && bytes.HasPrefix(p, presenceFrame) {
			_, p, _ = bytes.Cut(p, []byte{'\n'})
			continue
		}
		break
	}
	if len(p) == 0 {
		return
	}
	for f, err := range protocol.Frames(u.crowd.encoding, p) {
		if err != nil {
			u.crowd.fail(fmt.Errorf("user %d got what is no frame: %w", u.n, err))
			return
		}
		u.take(f, at)
	}
}

// known returns the length of the first frame of p, separator included, if it is the next
// expected message of one of the user's rooms; 0 if not.
func (u *user) known(p []byte, at int64) int {
	for i := range u.views {
		v := &u.views[i]
		e, n := u.crowd.ledger.match(v, p)
		if n == 0 {
			continue
		}
		u.crowd.delivered(v, e, at)
		if n < len(p) && p[n] == '\n' && u.crowd.encoding == protocol.JSON {
			n++
		}
		return n
	}
	return 0
}

// take handles one decoded frame.
func (u *user) take(f protocol.Frame, at int64) {
	switch f := f.(type) {
	case *protocol.Message:
		u.messages(f.Topic, []protocol.Message{*f}, at)
	case *protocol.Messages:
		u.messages(f.Topic, f.Messages, at)
	case *protocol.Connected:
		u.session = f.Session
	case *protocol.Subscribed:
		u.subscribed(f, at)
	case *protocol.Unsubscribed:
		u.unsubscribed(f)
	case *protocol.ResetTo:
		if v := u.view(f.Topic); v != nil && v.attempt == f.Attempt {
			u.crowd.ledger.reset(u.n, v, f.Pos)
		}
	case *protocol.Published:
		u.published(f, at)
	case *protocol.Page:
		u.page(f, at)
	case *protocol.Error:
		u.refused(f)
	case *protocol.Closing:
		u.reason = string(f.Code)
	}
}

// view returns the user's view of a topic; nil if the user is not in that room.
func (u *user) view(topic string) *view {
	i := slices.IndexFunc(u.views, func(v view) bool { return v.room.topic == topic })
	if i < 0 {
		return nil
	}
	return &u.views[i]
}

func (u *user) messages(topic string, list []protocol.Message, at int64) {
	k := &u.crowd.ledger
	v := u.view(topic)
	for i := range list {
		switch {
		case v == nil:
			k.faults.Foreign++
			k.faults.note("user %d got %q of %q, where it is not", u.n, list[i].ID, topic)
		case v.live:
			if e := k.deliver(u.n, v, &list[i]); e != nil {
				u.crowd.delivered(v, e, at)
			}
		}
	}
}

// subscribed handles the answer to a subscribe. After the last one, waiting messages are sent.
func (u *user) subscribed(s *protocol.Subscribed, at int64) {
	v := u.view(s.Topic)
	if v == nil || s.Attempt != v.attempt || v.live {
		return
	}
	u.crowd.ledger.joined(u.n, v, s)
	v.live, v.since = true, at
	u.messages(s.Topic, s.Messages, at)
	if u.joined++; u.joined != len(u.views) {
		return
	}
	u.crowd.arrived(u, at)
	u.submit()
}

// unsubscribed subscribes again after the service's delay. It fails the run if the service says
// not to retry.
func (u *user) unsubscribed(f *protocol.Unsubscribed) {
	v := u.view(f.Topic)
	if v == nil || v.attempt != f.Attempt {
		return
	}
	if f.Retry != protocol.Later {
		u.crowd.fail(fmt.Errorf("the service ended the subscription of user %d to %q: %s %s", u.n, f.Topic, f.Code, f.Message))
		return
	}
	v.live = false
	u.joined--
	u.resubscribe(v, f.Delay)
}

// resubscribe subscribes v again after delay milliseconds.
func (u *user) resubscribe(v *view, delay int64) {
	u.crowd.figures.retries++
	u.later(delay, func() { u.send(u.subscription(v)) })
}

// later runs fn on the loop after delay milliseconds, unless the connection has ended by then.
func (u *user) later(delay int64, fn func()) {
	on := u.conn
	time.AfterFunc(time.Duration(max(delay, 10))*time.Millisecond, func() {
		_ = u.crowd.loop.Do(func() { // an error means that the run has ended
			if on != nil && u.conn == on {
				fn()
			}
		})
	})
}

// awaits returns the index of a message in waiting; -1 if it is not there.
func (u *user) awaits(number int32) int {
	return slices.IndexFunc(u.waiting, func(w waiting) bool { return w.number == number })
}

func (u *user) published(f *protocol.Published, at int64) {
	c := u.crowd
	number := int32(f.Ref - refPublish)
	i := u.awaits(number)
	if i < 0 || f.Pos == nil || f.ID != c.ledger.id(int(number)) {
		c.ledger.faults.Damaged++
		c.ledger.faults.note("user %d is told that %q is published, with ref %d", u.n, f.ID, f.Ref)
		return
	}
	u.waiting = slices.Delete(u.waiting, i, i+1)
	if c.ledger.answered(int(number), f.Pos.Offset) {
		c.acked(&c.ledger.messages[number], f.Duplicate, at)
	}
}

func (u *user) page(f *protocol.Page, at int64) {
	asked, ok := u.reads[f.Ref]
	if !ok {
		return
	}
	delete(u.reads, f.Ref)
	v := &u.views[asked.view]
	u.crowd.ledger.page(u.n, v.room, f.Messages)
	u.crowd.figures.history.Record(at - asked.at)
}

// refused handles an error. It retries a command that may succeed later; other errors fail the
// run.
func (u *user) refused(f *protocol.Error) {
	c := u.crowd
	if f.Retry != protocol.Later || f.Ref == 0 {
		c.fail(fmt.Errorf("the service refuses user %d: %s %s", u.n, f.Code, f.Message))
		return
	}
	c.figures.retries++
	c.figures.note("%s %s", f.Code, f.Message)
	switch {
	case f.Ref >= refRead:
		delete(u.reads, f.Ref)
	case f.Ref >= refPublish:
		if i := u.awaits(int32(f.Ref - refPublish)); i >= 0 {
			u.later(f.Delay, func() { u.again(int32(f.Ref - refPublish)) })
		}
	case f.Ref > refSubscribe:
		if v := u.view(f.Topic); v != nil && v.attempt == f.Attempt {
			u.later(f.Delay, func() { u.send(u.subscription(v)) })
		}
	default:
		u.reason = string(f.Code) // the service closes the connection next
	}
}

// again retries a publish that was refused on this connection.
func (u *user) again(number int32) {
	if i := u.awaits(number); i >= 0 {
		u.waiting[i].sent = false
		u.submit()
	}
}

// left handles the end of the connection. The user reconnects: after its planned absence if it
// was cut, and after 100 ms otherwise.
func (u *user) left(c *conn, err error) {
	if u.conn != c {
		return
	}
	u.conn = nil
	u.crowd.gone(u)
	clear(u.reads)
	for i := range u.waiting {
		u.waiting[i].sent = false
	}
	for i := range u.views {
		v := &u.views[i]
		if pos := v.position(); pos != nil {
			v.pos = *pos
		}
		v.live = false
	}
	away := c.away
	if !c.leaving {
		if !u.crowd.lost(u, err) {
			return
		}
		away = 100 * time.Millisecond
	}
	time.AfterFunc(away, func() { u.crowd.dial(u) })
}

// cut resets the connection without a close frame, as a failing network does.
func (u *user) cut(away time.Duration) {
	if !u.here() {
		return
	}
	u.crowd.figures.cuts++
	u.conn.leaving, u.conn.away = true, away
	u.conn.Close(loop.CloseReset)
}
