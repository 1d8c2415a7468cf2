package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// phaseCase is one connection that was brought to a phase.
type phaseCase struct {
	t         *testing.T
	srv       *engine.Server
	clock     *drivenClock
	c         *rawClient
	ws        *engine.WebSocket
	ended     <-chan ending
	delivered atomic.Int32
	told      atomic.Int32 // calls of OnError
}

// inPhase opens a connection and brings it to a phase from open on, in which it
// stays until something happens.
func inPhase(t *testing.T, phase string) *phaseCase {
	p := &phaseCase{t: t}
	opened := make(chan *engine.WebSocket, 1)
	cb, ended := record(engine.Callbacks{
		OnText:  func(*engine.WebSocket, []byte) { p.delivered.Add(1) },
		OnError: func(*engine.WebSocket, error) { p.told.Add(1) },
	})
	p.ended = ended
	p.srv = &engine.Server{Loops: 1, Limits: timed, Callbacks: cb, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		_ = ws.Subscribe("room")
		opened <- ws
	}}
	p.srv.Limits.IdleTimeout = time.Minute
	p.srv.Logger, _ = newLog()
	p.clock = drive(t, p.srv)
	p.c = openNarrow(t, listen(t, p.srv))
	p.ws = within(t, "OnUpgrade", opened)
	switch phase {
	case "open":
	case "closing":
		_ = p.ws.Close(4000, "bye")
		p.c.wantFrame(codec.Close, true, closePayload(4000, "bye"))
	case "leaving":
		fillTo(t, p.ws, 256<<10)
		_ = p.c.Conn.(*net.TCPConn).CloseWrite()
	case "failing":
		p.c.send(frame(0x83, ""))
		p.c.wantClose(engine.StatusProtocolError)
	case "answering":
		p.c.send(frame(0x88, closePayload(4001, "so long")))
		p.c.wantFrame(codec.Close, true, closePayload(4001, ""))
	}
	p.reach(phase)
	return p
}

// reach waits until the connection is in a phase.
func (p *phaseCase) reach(phase string) {
	p.t.Helper()
	eventually(p.t, "phase "+phase, func() bool { return engine.PhaseOf(p.ws) == phase })
}

// errRule is what Fail is given.
var errRule = errors.New("a rule of the program")

// phaseEvents are what may happen to a connection.
var phaseEvents = map[string]func(p *phaseCase){
	"data":       func(p *phaseCase) { _, _ = p.c.Conn.Write([]byte(frame(0x81, "hello"))) },
	"EOF":        func(p *phaseCase) { _ = p.c.Conn.(*net.TCPConn).CloseWrite() },
	"reset":      func(p *phaseCase) { _ = p.c.Conn.(*net.TCPConn).SetLinger(0); _ = p.c.Close() },
	"Close":      func(p *phaseCase) { _ = p.ws.Close(4002, "enough") },
	"CloseNow":   func(p *phaseCase) { p.ws.CloseNow() },
	"Fail":       func(p *phaseCase) { _ = p.ws.Fail(4004, "no", errRule) },
	"peer close": func(p *phaseCase) { _, _ = p.c.Conn.Write([]byte(frame(0x88, closePayload(4003, "you too")))) },
	"shed":       func(p *phaseCase) { engine.Shed(p.ws) },
	"relief":     func(p *phaseCase) { engine.GiveUp(p.ws) },
	"bad frame":  func(p *phaseCase) { _, _ = p.c.Conn.Write([]byte(frame(0x83, ""))) },
	"panic":      func(p *phaseCase) { _ = p.ws.Do(func() { panic("oops") }) },
	"Goexit":     func(p *phaseCase) { _ = p.ws.Do(runtime.Goexit) },
	"Shutdown": func(p *phaseCase) {
		ctx, cancel := context.WithCancel(context.Background())
		p.t.Cleanup(cancel)
		go func() { _ = p.srv.Shutdown(ctx) }()
	},
}

// endings are the causes of an end by name.
var endings = map[string]error{
	"abnormal": engine.ErrAbnormalClosure, "pong": engine.ErrPongTimeout, "idle": engine.ErrIdleTimeout,
	"timeout": engine.ErrCloseTimeout, "slow": engine.ErrSlow, "closed": engine.ErrClosed,
	"overload": engine.ErrOverload, "failed": errRule,
}

func (e ending) cause() string {
	var broken *engine.ProtocolError
	var panicked *engine.PanicError
	switch {
	case e.err == nil:
		return "-"
	case errors.As(e.err, &broken):
		return "protocol"
	case errors.As(e.err, &panicked):
		return "panic"
	}
	for name, err := range endings {
		if errors.Is(e.err, err) {
			return name
		}
	}
	return e.err.Error()
}

// phaseTable says for each phase and event: the phase that follows, and with which
// code and cause the connection ends when nothing more comes from its peer.
const phaseTable = `
open: Close -> closing, 1006 timeout
open: CloseNow -> closed, 1006 closed
open: EOF -> closed, 1006 abnormal
open: Shutdown -> closing, 1006 timeout
open: bad frame -> failing, 1002 protocol
open: data -> open, 1006 pong, delivered
open: Fail -> failing, 4004 failed
open: Goexit -> failing, 1011 panic
open: panic -> failing, 1011 panic
open: peer close -> answering, 4003 -
open: relief -> closed, 1006 overload
open: reset -> closed, 1006 abnormal
open: shed -> closing, 1013 slow
open: timer close -> open, 1006 pong
open: timer expiry -> open, 1006 pong
open: timer handshake -> open, 1006 pong
open: timer idle -> failing, 1001 idle
open: timer ping -> open, 1006 pong
open: timer pong -> closed, 1006 pong
open: timer progress -> open, 1006 pong
closing: Close -> closing, 1006 timeout
closing: CloseNow -> closed, 1006 closed
closing: EOF -> closed, 1006 abnormal
closing: Shutdown -> closing, 1006 timeout
closing: bad frame -> closed, 1006 protocol
closing: data -> closing, 1006 timeout
closing: Fail -> closing, 1006 timeout
closing: Goexit -> closed, 1006 panic
closing: panic -> closed, 1006 panic
closing: peer close -> answering, 4003 -
closing: relief -> closed, 1006 overload
closing: reset -> closed, 1006 abnormal
closing: shed -> closing, 1006 timeout
closing: timer close -> closed, 1006 timeout
closing: timer expiry -> closing, 1006 timeout
closing: timer handshake -> closing, 1006 timeout
closing: timer idle -> closing, 1006 timeout
closing: timer ping -> closing, 1006 timeout
closing: timer pong -> closing, 1006 timeout
closing: timer progress -> closing, 1006 timeout
leaving: Close -> leaving, 1006 timeout
leaving: CloseNow -> closed, 1006 closed
leaving: EOF -> leaving, 1006 timeout
leaving: Shutdown -> leaving, 1006 timeout
leaving: bad frame -> leaving, 1006 timeout
leaving: data -> leaving, 1006 timeout
leaving: Fail -> leaving, 1006 timeout
leaving: Goexit -> closed, 1006 panic
leaving: panic -> closed, 1006 panic
leaving: peer close -> leaving, 1006 timeout
leaving: relief -> closed, 1006 overload
leaving: reset -> closed, 1006 abnormal
leaving: shed -> leaving, 1006 timeout
leaving: timer close -> leaving, 1006 timeout
leaving: timer expiry -> leaving, 1006 timeout
leaving: timer handshake -> leaving, 1006 timeout
leaving: timer idle -> leaving, 1006 timeout
leaving: timer ping -> leaving, 1006 timeout
leaving: timer pong -> leaving, 1006 timeout
leaving: timer progress -> leaving, 1006 timeout
failing: Close -> failing, 1002 protocol
failing: CloseNow -> closed, 1002 protocol
failing: EOF -> closed, 1002 protocol
failing: Shutdown -> failing, 1002 protocol
failing: bad frame -> failing, 1002 protocol
failing: data -> failing, 1002 protocol
failing: Fail -> failing, 1002 protocol
failing: Goexit -> failing, 1002 protocol
failing: panic -> failing, 1002 protocol
failing: peer close -> failing, 1002 protocol
failing: relief -> closed, 1002 protocol
failing: reset -> closed, 1002 protocol
failing: shed -> failing, 1002 protocol
failing: timer close -> closed, 1002 protocol
failing: timer expiry -> failing, 1002 protocol
failing: timer handshake -> failing, 1002 protocol
failing: timer idle -> failing, 1002 protocol
failing: timer ping -> failing, 1002 protocol
failing: timer pong -> failing, 1002 protocol
failing: timer progress -> failing, 1002 protocol
answering: Close -> answering, 4001 -
answering: CloseNow -> closed, 4001 -
answering: EOF -> closed, 4001 -
answering: Shutdown -> answering, 4001 -
answering: bad frame -> answering, 4001 -
answering: data -> answering, 4001 -
answering: Fail -> answering, 4001 -
answering: Goexit -> answering, 4001 -
answering: panic -> answering, 4001 -
answering: peer close -> answering, 4001 -
answering: relief -> closed, 4001 overload
answering: reset -> closed, 4001 -
answering: shed -> answering, 4001 -
answering: timer close -> closed, 4001 -
answering: timer expiry -> answering, 4001 -
answering: timer handshake -> answering, 4001 -
answering: timer idle -> answering, 4001 -
answering: timer ping -> answering, 4001 -
answering: timer pong -> answering, 4001 -
answering: timer progress -> answering, 4001 -
`

// T04, T11: what happens in every phase when anything happens, and how it ends.
func TestEveryEventInEveryPhase(t *testing.T) {
	want := make(map[string]string)
	for line := range strings.Lines(phaseTable) {
		if phase, rest, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			event, outcome, _ := strings.Cut(rest, " -> ")
			want[phase+": "+event] = outcome
		}
	}
	events := make(map[string]func(*phaseCase))
	for name, event := range phaseEvents {
		events[name] = event
	}
	for _, what := range engine.Deadlines {
		events["timer "+what] = func(p *phaseCase) { engine.Expire(p.ws, what) }
	}
	for _, phase := range []string{"open", "closing", "leaving", "failing", "answering"} {
		for event, happen := range events {
			cell := phase + ": " + event
			t.Run(cell, func(t *testing.T) {
				t.Parallel()
				p := inPhase(t, phase)
				happen(p)
				engine.Turn(p.srv)
				outcome := want[cell]
				next, _, _ := strings.Cut(outcome, ",")
				p.reach(next)
				e := stepToTheEnd(t, p.clock, p.ended, func() {})
				got := fmt.Sprintf("%s, %d %s", next, e.code, e.cause())
				if st := p.srv.Stats(); len(st.Ended) != 1 || st.Ended[p.ws.Cause()] != 1 {
					t.Errorf("it ended with %q and counts in %v", p.ws.Cause(), st.Ended)
				}
				if told, want := p.told.Load(), e.err != nil && !errors.Is(e.err, engine.ErrClosed); told > 1 || (told == 1) != want {
					t.Errorf("Err is %v, and OnError was called %d times", e.err, told)
				}
				if p.delivered.Load() > 0 {
					got += ", delivered"
				}
				if got != outcome {
					t.Errorf("%s -> %s\nwant %s", cell, got, outcome)
				}
				if d, err := p.srv.Publish("room", engine.TextMessage("")); err == nil && d.Subscribers() != 0 {
					t.Errorf("a publish counts %+v after the end", d)
				}
				eventually(t, "nothing is left", func() bool { return p.srv.Conns() == 0 && p.srv.Stats().QueuedBytes == 0 })
			})
		}
	}
}

// What happens while the opening handshake is under way: the client is refused or
// let go, and there is no connection that could end.
func TestEveryEventInTheOpeningHandshake(t *testing.T) {
	const half = "GET / HTTP/1.1\r\nHost: x\r\n"
	askedFor := func(what func()) func(*engine.Request) (http.Header, error) {
		return func(*engine.Request) (http.Header, error) { what(); return nil, nil }
	}
	for name, tt := range map[string]struct {
		ask    func(*engine.Request) (http.Header, error)
		happen func(p *phaseCase)
		status int // 0: no answer
	}{
		"more of the head":  {happen: func(p *phaseCase) { p.c.send("X: y\r\n"); p.clock.step(time.Minute) }, status: 408},
		"a bad head":        {happen: func(p *phaseCase) { p.c.send("\x00\r\n\r\n") }, status: 400},
		"EOF":               {happen: func(p *phaseCase) { _ = p.c.Conn.(*net.TCPConn).CloseWrite() }},
		"reset":             {happen: func(p *phaseCase) { _ = p.c.Conn.(*net.TCPConn).SetLinger(0); _ = p.c.Close() }},
		"timer":             {happen: func(p *phaseCase) { p.clock.step(time.Minute) }, status: 408},
		"Shutdown":          {happen: func(p *phaseCase) { go func() { _ = p.srv.Shutdown(context.Background()) }() }},
		"panic":             {ask: askedFor(func() { panic("oops") }), happen: (*phaseCase).finishHead, status: 500},
		"Goexit":            {ask: askedFor(runtime.Goexit), happen: (*phaseCase).finishHead, status: 500},
		"a refusal":         {ask: refuse(engine.Reject(403, "no")), happen: (*phaseCase).finishHead, status: 403},
		"an error":          {ask: refuse(errors.New("broken")), happen: (*phaseCase).finishHead, status: 500},
		"refused and stays": {ask: refuse(engine.Reject(403, "no")), happen: func(p *phaseCase) { p.finishHead(); p.clock.step(time.Minute) }, status: 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &phaseCase{t: t}
			cb, ended := record(engine.Callbacks{})
			p.srv = &engine.Server{Loops: 1, Callbacks: cb, ShouldUpgrade: tt.ask}
			p.srv.Logger, _ = newLog()
			p.clock = drive(t, p.srv)
			p.c = dialRaw(t, listen(t, p.srv))
			p.c.send(half)
			eventually(t, "the connection is accepted", func() bool { return p.srv.Conns() == 1 })
			tt.happen(p)
			if tt.status != 0 {
				p.c.wantRefused(tt.status)
			}
			_ = p.c.Close()
			eventually(t, "the connection is let go", func() bool { return p.srv.Conns() == 0 })
			notEnded(t, ended)
			if st := p.srv.Stats(); len(st.Ended) > 0 {
				t.Errorf("it counts as the end of a WebSocket: %v", st.Ended)
			}
		})
	}
}

// finishHead sends what half a head lacks.
func (p *phaseCase) finishHead() {
	p.c.send("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
}

func refuse(err error) func(*engine.Request) (http.Header, error) {
	return func(*engine.Request) (http.Header, error) { return nil, err }
}
