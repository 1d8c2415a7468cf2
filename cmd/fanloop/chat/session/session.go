package session

import (
	"errors"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// state is the life of a session.
type state byte

const (
	opened     state = iota // nothing came yet
	connecting              // the backend is asked who it is
	connected
	closed
)

// Session is one connection. Everything is owned by the goroutine that calls it.
type Session struct {
	config  *Config
	backend Backend
	out     Output

	state      state
	refreshing bool
	attempt    uint32 // the largest of all subscribes
	who        *Identity
	deadline   time.Time // of the first command, while there was none

	topics     []*topic
	early      []protocol.Command // came while connecting
	waiting    int                // commands that the backend has not answered
	publishing *publishing        // nil: no publish is under way
	refused    int                // commands that were not admitted, less those that were since
}

// New returns the session of a connection that is open. Sessions share config.
func New(config *Config, backend Backend, out Output) *Session {
	return &Session{config: config, backend: backend, out: out, deadline: config.Now().Add(config.ConnectWithin)}
}

// User is who is connected, and empty if nobody is yet.
func (s *Session) User() string {
	if s.who == nil {
		return ""
	}
	return s.who.User
}

// Receive carries out what a client sent. A message without a frame costs as much as a
// command.
func (s *Session) Receive(e protocol.Encoding, message []byte) {
	empty := true
	for c, err := range protocol.Commands(e, s.config.Limits, message) {
		empty = false
		switch {
		case s.state == closed:
			return
		case err != nil:
			s.malformed(err)
		default:
			s.Do(c)
		}
	}
	if empty && s.state != closed {
		s.admitted(nil)
	}
}

// malformed answers what could not be read. It costs as much as a command.
func (s *Session) malformed(err error) {
	fault := answerOf(nil, err)
	if !s.admitted(nil) {
		return
	}
	s.out.Send(fault)
	if fault.Fatal() || s.state == opened && fault.OfConnect() {
		s.Close(fault.Code, fault.Message)
	}
}

// Do carries out one command.
func (s *Session) Do(c protocol.Command) {
	if s.state == closed || !s.admitted(c) {
		return
	}
	connect, isConnect := c.(*protocol.Connect)
	switch {
	case isConnect && s.state == opened:
		s.connect(connect)
	case isConnect:
		s.fail(c, protocol.AlreadyConnected)
	case s.state == opened:
		s.fail(c, protocol.NotConnected)
	case s.waiting+len(s.early) >= s.atOnce(): // what may come at once may wait
		s.fail(c, protocol.Overloaded)
	case s.state == connecting:
		s.early = append(s.early, c)
	default:
		s.dispatch(c)
	}
}

// atOnce is how many commands a client may send without waiting for answers: what the rate
// lets through after a quiet time, or a subscribe for each of its topics.
func (s *Session) atOnce() int { return max(s.config.Limits.Burst, s.config.Limits.Topics) }

// admitted reports whether a command that came is within the rates.
func (s *Session) admitted(c protocol.Command) bool { return s.judge(c, s.backend.Arrived(c)) }

// judge reports whether err is nil. Otherwise it answers the command. Who goes on regardless
// is closed: when more than atOnce were refused, less those that were admitted since.
func (s *Session) judge(c protocol.Command, err error) bool {
	if err == nil {
		s.refused = max(0, s.refused-1)
		return true
	}
	if s.refused++; s.refused > s.atOnce() {
		s.Close(protocol.RateLimited, "")
		return false
	}
	s.answer(c, err)
	return false
}

func (s *Session) connect(c *protocol.Connect) {
	s.state, s.deadline = connecting, time.Time{}
	s.backend.Connect(c, func(who Identity, in Entry, err error) {
		if s.state != connecting {
			return
		}
		if err != nil {
			fault := answerOf(c, err)
			s.out.Send(fault)
			s.CloseWith(fault.Code.Close(), &protocol.Closing{Code: fault.Code, Retry: fault.Retry, Delay: fault.Delay, Message: fault.Message})
			return
		}
		s.connected(c, &who, &in)
	})
}

func (s *Session) connected(c *protocol.Connect, who *Identity, in *Entry) {
	s.state = connected
	s.who = who
	s.out.Send(&protocol.Connected{
		Ref: c.Ref, Version: protocol.Version, State: in.State, Session: in.Session, User: who.User, Name: who.Name,
		Time: s.config.Now().UnixMilli(), TTL: s.ttl(who.Expires), Ping: s.config.Ping.Milliseconds(),
		Development: s.config.Development, Topics: in.Topics, Addresses: s.config.addresses(), Limits: s.config.Limits,
	})
	s.dispatchEarly()
}

// dispatchEarly carries out what came before it was known who the user is.
func (s *Session) dispatchEarly() {
	early := s.early
	s.early = nil
	for _, c := range early {
		if s.state == connected && s.judge(c, s.backend.Waited(c)) {
			s.dispatch(c)
		}
	}
}

// dispatch carries out a command of somebody who is connected.
func (s *Session) dispatch(c protocol.Command) {
	switch c := c.(type) {
	case *protocol.Subscribe:
		s.subscribe(c)
	case *protocol.Unsubscribe:
		s.unsubscribe(c)
	case *protocol.Publish:
		s.publish(c)
	case *protocol.History:
		s.history(c)
	case *protocol.GetPresence:
		s.members(c)
	case *protocol.Set:
		s.set(c)
	case *protocol.Read:
		s.read(c, c.Topic)
	case *protocol.Unread:
		s.read(c, c.Topic)
	case *protocol.Refresh:
		s.refresh(c)
	case *protocol.Ping:
		s.out.Send(&protocol.Pong{Ref: c.Ref, Time: s.config.Now().UnixMilli()})
	default:
		s.fail(c, protocol.UnknownCommand)
	}
}

// fail answers a command with a code.
func (s *Session) fail(c protocol.Command, code protocol.Code) { s.answer(c, code) }

// answer answers a command with an error.
func (s *Session) answer(c protocol.Command, err error) {
	if s.state != closed {
		s.out.Send(answerOf(c, err))
	}
}

// answerOf makes an answer of any error.
func answerOf(c protocol.Command, err error) *protocol.Error {
	var fault *protocol.Error
	var code protocol.Code
	switch {
	case errors.As(err, &fault):
		if c == nil {
			return fault
		}
		named := protocol.Fail(c, fault.Code, fault.Message)
		named.Retry, named.Delay = fault.Retry, fault.Delay
		return named
	case errors.As(err, &code):
		return protocol.Fail(c, code, "")
	}
	return protocol.Fail(c, protocol.Internal, "") // the error may say what no client should read
}

// Close closes the connection for a reason, with what the client does next. message
// is for developers.
func (s *Session) Close(code protocol.Code, message string) {
	s.CloseWith(code.Close(), &protocol.Closing{Code: code, Retry: code.Retry(), Message: message})
}

// CloseWith is Close with a last frame of the caller's, who knows when and where the
// client should connect again.
func (s *Session) CloseWith(status protocol.CloseCode, last *protocol.Closing) {
	if s.state == closed {
		return
	}
	s.End()
	s.out.Close(status, last)
}

// End ends all that the session began. Nothing is sent any more.
func (s *Session) End() {
	s.state = closed
	for _, t := range s.topics {
		t.stop()
	}
	s.topics, s.early, s.publishing = nil, nil, nil
}
