package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"time"

	"github.com/fanloop-go/fanloop/codec"
)

// NoLimit turns off a limit whose comment says that it can be off. 0 always means the
// default. Other negative values are refused.
const NoLimit = -1

// mistakes collects the errors of options.
type mistakes []error

// add is not inlined, for the size of programs: many call it, and seldom.
//
//go:noinline
func (m *mistakes) add(field string, value any, remedy string, args ...any) {
	*m = append(*m, &OptionError{Field: field, Value: value, Remedy: fmt.Sprintf(remedy, args...)})
}

// err returns all mistakes as one error; nil if there are none.
func (m mistakes) err() error { return errors.Join(m...) }

type number interface{ int | int64 | time.Duration }

// canBeOff refuses a negative v, except NoLimit.
func canBeOff[T number](m *mistakes, field string, v T) {
	if v < NoLimit {
		m.add(field, v, "set a positive value, 0 for the default, or NoLimit")
	}
}

// staysOn refuses any negative v. reason says why the field cannot be off.
func staysOn[T number](m *mistakes, field string, v T, reason string) {
	if v < 0 {
		m.add(field, v, "%s; set a positive value, or 0 for the default", reason)
	}
}

// Validate returns the mistakes in l, each as an *OptionError, or nil. Listen, Serve and Dial
// return the same error.
func (l Limits) Validate() error {
	var m mistakes
	l.check(&m)
	return m.err()
}

func (l Limits) check(m *mistakes) {
	before := len(*m)
	const always = "a peer could hold its connection for ever"
	staysOn(m, "Limits.MaxHead", l.MaxHead, "a head without end would fill the memory")
	staysOn(m, "Limits.MaxHeaders", l.MaxHeaders, "MaxHead bounds them anyway")
	staysOn(m, "Limits.HandshakeTimeout", l.HandshakeTimeout, always)
	canBeOff(m, "Limits.MaxMessage", l.MaxMessage)
	canBeOff(m, "Limits.MaxFragments", l.MaxFragments)
	canBeOff(m, "Limits.MaxControlRate", l.MaxControlRate)
	canBeOff(m, "Limits.MaxQueued", l.MaxQueued)
	canBeOff(m, "Limits.MaxMemory", l.MaxMemory)
	staysOn(m, "Limits.HighWater", l.HighWater, "it is a mark and no limit")
	staysOn(m, "Limits.LowWater", l.LowWater, "it is a mark and no limit")
	canBeOff(m, "Limits.WriteTimeout", l.WriteTimeout)
	canBeOff(m, "Limits.ReadTimeout", l.ReadTimeout)
	canBeOff(m, "Limits.PingInterval", l.PingInterval)
	staysOn(m, "Limits.PongTimeout", l.PongTimeout, "PingInterval NoLimit turns pings off")
	canBeOff(m, "Limits.IdleTimeout", l.IdleTimeout)
	staysOn(m, "Limits.CloseTimeout", l.CloseTimeout, always)
	canBeOff(m, "Limits.MaxConnections", l.MaxConnections)
	if len(*m) == before {
		l.checkTogether(m)
	}
}

// checkTogether refuses limits that contradict each other.
func (l Limits) checkTogether(m *mistakes) {
	d := l.WithDefaults()
	if l.MaxHead > maxHead {
		m.add("Limits.MaxHead", l.MaxHead, "set at most 1 GiB (%d)", maxHead)
	}
	if l.MaxMessage > math.MaxInt {
		m.add("Limits.MaxMessage", l.MaxMessage, "no memory of this machine holds that; set at most %d, or NoLimit", math.MaxInt)
	}
	if d.MaxQueued > 0 && d.HighWater > d.MaxQueued {
		m.add("Limits.HighWater", d.HighWater, "a queue of at most Limits.MaxQueued (%d) is never over it; lower it, or raise Limits.MaxQueued", d.MaxQueued)
	}
	if d.LowWater > d.HighWater {
		m.add("Limits.LowWater", d.LowWater, "a queue over Limits.HighWater (%d) cannot fall to it; lower it, or raise Limits.HighWater", d.HighWater)
	}
	if l.MaxMemory > 0 && l.MaxQueued > l.MaxMemory {
		m.add("Limits.MaxQueued", l.MaxQueued, "all connections together may hold Limits.MaxMemory (%d); lower it, or raise Limits.MaxMemory", l.MaxMemory)
	}
	if l.PongTimeout > 0 && l.PingInterval == NoLimit {
		m.add("Limits.PongTimeout", l.PongTimeout, "no ping is sent that it could count from; leave it 0, or set Limits.PingInterval")
	}
}

// maxHead is the largest head that package handshake accepts.
const maxHead = 1 << 30

// check adds the mistakes in s to m. l has its defaults.
func (s Slow) check(m *mistakes, l *Limits) {
	if s.Policy > SlowUnsubscribe {
		m.add("Slow.Policy", s.Policy, "set SlowClose, SlowDropNewest, SlowDropOldest, SlowConflate or SlowUnsubscribe")
	}
	canBeOff(m, "Slow.Limit", s.Limit)
	canBeOff(m, "Slow.Timeout", s.Timeout)
	if l.WriteTimeout > 0 && s.Timeout > l.WriteTimeout {
		m.add("Slow.Timeout", s.Timeout, "Limits.WriteTimeout (%v) drops the connection before that; lower it, or raise Limits.WriteTimeout", l.WriteTimeout)
	}
}

// validate returns the mistakes in a policy that is set on a running server.
func (s Slow) validate(e *settings) error { return s.checkWith(e.limits) }

// checkWith returns the mistakes in a policy where l bounds the connections.
func (s Slow) checkWith(l Limits) error {
	var m mistakes
	l = l.WithDefaults()
	s.check(&m, &l)
	return m.err()
}

func (c *Compression) check(m *mistakes) {
	if c == nil {
		return
	}
	windowBits := func(field string, bits int) {
		if bits != 0 && (bits < codec.MinWindowBits || bits > codec.MaxWindowBits) {
			m.add(field, bits, "set 8 to 15, or 0 for the default")
		}
	}
	windowBits("Compression.ServerMaxWindowBits", c.ServerMaxWindowBits)
	windowBits("Compression.ClientMaxWindowBits", c.ClientMaxWindowBits)
	staysOn(m, "Compression.Threshold", c.Threshold, "a message has no size below 0")
	canBeOff(m, "Compression.Memory", c.Memory)
	canBeOff(m, "Compression.MaxRatio", c.MaxRatio)
}

func (d *Dispatch) check(m *mistakes) {
	if d == nil {
		return
	}
	staysOn(m, "Dispatch.Workers", d.Workers, "messages would never reach their callbacks")
	staysOn(m, "Dispatch.MaxWaiting", d.MaxWaiting, "what waits would fill the memory")
	staysOn(m, "Dispatch.MaxWaitingBytes", d.MaxWaitingBytes, "what waits would fill the memory")
}

// checkOptions returns the mistakes in p and in opt, with which it connects.
func (p *ReconnectPolicy) checkOptions(opt *DialOptions) error {
	var m mistakes
	staysOn(&m, "ReconnectPolicy.BaseDelay", p.BaseDelay, "a wait cannot be negative")
	staysOn(&m, "ReconnectPolicy.MaxDelay", p.MaxDelay, "a wait cannot be negative")
	staysOn(&m, "ReconnectPolicy.StableAfter", p.StableAfter, "a time cannot be negative")
	canBeOff(&m, "ReconnectPolicy.MaxAttempts", p.MaxAttempts)
	canBeOff(&m, "ReconnectPolicy.MaxElapsed", p.MaxElapsed)
	if p.MaxDelay > 0 && p.BaseDelay > p.MaxDelay {
		m.add("ReconnectPolicy.BaseDelay", p.BaseDelay, "it is above ReconnectPolicy.MaxDelay (%v); lower it, or raise ReconnectPolicy.MaxDelay", p.MaxDelay)
	}
	if opt != nil {
		opt.check(&m)
	}
	return m.err()
}

// checkOptions returns the mistakes in the fields of s.
func (s *Server) checkOptions() error {
	var m mistakes
	s.Limits.check(&m)
	limits := s.Limits.WithDefaults()
	s.Slow.check(&m, &limits)
	s.early.check(&m, &limits)
	s.Compression.check(&m)
	s.Dispatch.check(&m)
	s.Batching.check(&m)
	s.routes.check(&m, s.Limits)
	checkSubprotocols(&m, "Server.Subprotocols", s.Subprotocols)
	staysOn(&m, "Server.Loops", s.Loops, "a server needs a loop")
	staysOn(&m, "Server.MaxHandshakes", s.MaxHandshakes, "no client could finish its TLS handshake without one")
	canBeOff(&m, "Server.MaxRetained", s.MaxRetained)
	staysOn(&m, "Server.UpgradeWorkers", s.UpgradeWorkers, "ShouldUpgrade would never be called")
	return m.err()
}

// check returns the mistakes in opt. file reports whether the listener makes a socket file.
func (opt *ListenOptions) check(file bool) error {
	var m mistakes
	switch mode := opt.SocketMode; {
	case mode&^fs.ModePerm != 0:
		m.add("ListenOptions.SocketMode", mode, "set permissions only, such as 0o660")
	case mode != 0 && !file:
		m.add("ListenOptions.SocketMode", mode, "nothing makes a file here; leave it 0, or listen on unix:path")
	}
	return m.err()
}

// checkOptions returns the mistakes in the fields of opt.
func (opt *DialOptions) checkOptions() error {
	var m mistakes
	opt.check(&m)
	return m.err()
}

func (opt *DialOptions) check(m *mistakes) {
	opt.Limits.check(m)
	opt.Compression.check(m)
	staysOn(m, "DialOptions.MaxRedirects", opt.MaxRedirects, "there is no number of redirects below 0")
}
