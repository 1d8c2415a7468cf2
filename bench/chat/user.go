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
	joined  int   // subscriptions of this connection
	in      bool  // all stood at one time
	attempt uint32
	waiting []waiting
	reads   map[protocol.Ref]pageRead
	reason  string // of the last closing frame
}

// waiting is a message that was published, or is to be, and has no answer.
type waiting struct {
	number int32
	sent   bool // on this connection
}

// pageRead is a page that was asked for.
type pageRead struct {
	view int
	at   int64
}

// Refs of commands: connect, subscriptions by their attempts, publishes by their
// numbers, pages.
const (
	refConnect   = 1
	refSubscribe = 16
	refPublish   = 1 << 24
	refRead      = 1 << 30
)

// hello is the first message of a connection: connect, and all subscriptions.
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

// perMessage is how many commands are in one message, fewer than the service's limit.
const perMessage = 50

// subscription begins v anew, where it was.
func (u *user) subscription(v *view) protocol.Command {
	u.attempt++
	v.live, v.attempt = false, u.attempt
	return &protocol.Subscribe{
		Ref: protocol.Ref(refSubscribe + u.attempt), Topic: v.room.topic, Attempt: u.attempt,
		Pos: v.position(), Presence: u.crowd.config.Presence,
	}
}

// send sends commands in one message.
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
	_ = u.conn.Write(c.frame, nil) // ended: OnClose follows
}

// here reports whether commands can be sent.
func (u *user) here() bool { return u.conn != nil && u.joined == len(u.views) }

// publish sends a message now, or when the user is back.
func (u *user) publish(number int32) {
	u.waiting = append(u.waiting, waiting{number: number})
	u.submit()
}

// submit sends the publishes that wait, for the first time or again.
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
		m.due = u.crowd.now() // its author was away
	}
	return &protocol.Publish{
		Ref: protocol.Ref(refPublish + number), Topic: k.rooms[m.room].topic, ID: k.id(int(number)), Data: k.data(int(number)),
	}
}

// read asks for the last page of a room, or does not if the user is away.
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

// pageSize is how many messages of history a reader asks for.
const pageSize = 50

// presenceFrame begins frames that are not looked into.
var presenceFrame = []byte(`{"type":"presence"`)

// receive takes the frames of a message. What the user is to get next is recognized by
// its bytes, anything else is decoded.
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

// known is the length of the next frame, with what separates it, if it is the next message
// of one of the user's rooms. Otherwise it is 0.
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

// take acts on one frame.
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

// view is the user's of a topic; nil: it is in no such room.
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

// subscribed goes on with what waits once all rooms are there.
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

// unsubscribed subscribes again after a while, if the service allows it.
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

// resubscribe sends the subscription of v again after some milliseconds.
func (u *user) resubscribe(v *view, delay int64) {
	u.crowd.figures.retries++
	u.later(delay, func() { u.send(u.subscription(v)) })
}

// later runs fn after some milliseconds, if the connection is still there.
func (u *user) later(delay int64, fn func()) {
	on := u.conn
	time.AfterFunc(time.Duration(max(delay, 10))*time.Millisecond, func() {
		_ = u.crowd.loop.Do(func() { // ended: nobody waits
			if on != nil && u.conn == on {
				fn()
			}
		})
	})
}

// awaits is where a message waits for its answer; -1: it does not.
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

// refused repeats what may succeed later. Anything else fails the run.
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
		u.reason = string(f.Code) // the service closes
	}
}

// again sends a publish again that was refused on this connection.
func (u *user) again(number int32) {
	if i := u.awaits(number); i >= 0 {
		u.waiting[i].sent = false
		u.submit()
	}
}

// left is the end of the connection. The user comes back, after a while that it was to be
// away, or soon.
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

// cut drops the connection without a word, as a network does.
func (u *user) cut(away time.Duration) {
	if !u.here() {
		return
	}
	u.crowd.figures.cuts++
	u.conn.leaving, u.conn.away = true, away
	u.conn.Close(loop.CloseReset)
}
