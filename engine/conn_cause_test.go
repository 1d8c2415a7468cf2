package engine_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// wayToEnd is one way in which a connection ends.
type wayToEnd struct {
	cause  engine.CloseCause
	limits engine.Limits
	happen func(p *phaseCase)
}

// answer answers the close frame of the server.
func (p *phaseCase) answer(code engine.StatusCode) {
	for {
		h, _, err := p.c.readFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		if h.OpCode == codec.Close {
			p.c.send(frame(0x88, closePayload(uint16(code), "")))
			return
		}
	}
}

func sends(octets string) func(*phaseCase) { return func(p *phaseCase) { p.c.send(octets) } }

func (p *phaseCase) shutDown() (cancel func()) {
	ctx, cancel := context.WithCancel(context.Background())
	p.t.Cleanup(cancel)
	go func() { _ = p.srv.Shutdown(ctx) }()
	return cancel
}

var waysToEnd = map[string]wayToEnd{
	"1000":       {cause: engine.CauseNormal, happen: sends(frame(0x88, closePayload(1000, "")))},
	"no code":    {cause: engine.CauseNormal, happen: sends(frame(0x88, ""))},
	"1001":       {cause: engine.CauseGoingAway, happen: sends(frame(0x88, closePayload(1001, "")))},
	"4000":       {cause: engine.CausePeerError, happen: sends(frame(0x88, closePayload(4000, "")))},
	"EOF":        {cause: engine.CausePeerGone, happen: phaseEvents["EOF"]},
	"reset":      {cause: engine.CausePeerGone, happen: phaseEvents["reset"]},
	"CloseNow":   {cause: engine.CauseDropped, happen: func(p *phaseCase) { p.ws.CloseNow() }},
	"panic":      {cause: engine.CausePanic, happen: func(p *phaseCase) { _ = p.ws.Do(func() { panic("oops") }) }},
	"Goexit":     {cause: engine.CausePanic, happen: func(p *phaseCase) { _ = p.ws.Do(runtime.Goexit) }},
	"bad opcode": {cause: engine.CauseProtocolError, happen: sends(frame(0x83, ""))},
	"bad UTF-8":  {cause: engine.CauseProtocolError, happen: sends(frame(0x81, "\xff"))},
	"slow":       {cause: engine.CauseSlow, happen: func(p *phaseCase) { engine.Shed(p.ws) }},
	"overload":   {cause: engine.CauseOverload, happen: func(p *phaseCase) { engine.GiveUp(p.ws) }},
	"Close": {cause: engine.CauseClosed, happen: func(p *phaseCase) {
		_ = p.ws.Close(4000, "bye")
		p.answer(4001)
	}},
	"Fail": {cause: engine.CauseFailed, happen: func(p *phaseCase) { _ = p.ws.Fail(4000, "no", errRule) }},
	"Fail of ours": {cause: engine.CauseFailed, happen: func(p *phaseCase) {
		_ = p.ws.Fail(engine.StatusInternalError, "no", engine.ErrSlow) // of another connection
	}},
	"Fail by a rule": {cause: engine.CausePolicy, happen: func(p *phaseCase) { _ = p.ws.Fail(engine.StatusPolicyViolation, "no", nil) }},
	"Fail as slow": {cause: engine.CauseSlow, happen: func(p *phaseCase) {
		_ = p.ws.Fail(engine.StatusTryAgainLater, "no", fmt.Errorf("%w: and why", engine.ErrSlow))
	}},
	"Fail, CloseNow": {cause: engine.CauseFailed, happen: func(p *phaseCase) {
		_ = p.ws.Do(func() { // so the loop carries nothing out in between
			_ = p.ws.Fail(4000, "no", errRule)
			p.ws.CloseNow()
		})
	}},
	"Fail, close frame": {cause: engine.CauseFailed, happen: func(p *phaseCase) {
		_ = p.ws.Do(func() {
			p.c.send(frame(0x88, closePayload(4001, "")))
			_ = p.ws.Fail(4000, "no", errRule)
		})
	}},
	"CloseAt": {cause: engine.CauseExpired, happen: func(p *phaseCase) {
		_ = p.ws.CloseAt(time.Now(), 4000, "over")
		p.answer(4001)
	}},
	"Close, EOF": {cause: engine.CausePeerGone, happen: func(p *phaseCase) {
		_ = p.ws.Close(4000, "bye")
		p.c.wantFrame(codec.Close, true, closePayload(4000, "bye"))
		_ = p.c.Conn.(*net.TCPConn).CloseWrite()
	}},
	"Close, CloseNow": {cause: engine.CauseDropped, happen: func(p *phaseCase) {
		_ = p.ws.Close(4000, "bye")
		p.ws.CloseNow()
	}},
	"Close, no answer": {cause: engine.CauseCloseTimeout, limits: engine.Limits{CloseTimeout: time.Second},
		happen: func(p *phaseCase) { _ = p.ws.Close(4000, "bye") }},
	"Shutdown": {cause: engine.CauseShutdown, happen: func(p *phaseCase) {
		p.shutDown()
		p.answer(1001)
	}},
	"Shutdown in vain": {cause: engine.CauseShutdown, limits: engine.Limits{CloseTimeout: time.Hour}, happen: func(p *phaseCase) {
		cancel := p.shutDown()
		p.c.wantFrame(codec.Close, true, closePayload(1001, "server is shutting down"))
		cancel()
	}},
	"Server.Close": {cause: engine.CauseShutdown, happen: func(p *phaseCase) { _ = p.srv.Close() }},
	"too many pings": {cause: engine.CausePolicy, limits: engine.Limits{MaxControlRate: 1},
		happen: sends(strings.Repeat(frame(0x89, ""), 64))},
	"too many frames": {cause: engine.CausePolicy, limits: engine.Limits{MaxFragments: 1},
		happen: sends(frame(0x01, "a") + frame(0x00, "b"))},
	"too long": {cause: engine.CauseTooBig, limits: engine.Limits{MaxMessage: 10},
		happen: sends(frame(0x81, "eleven bytes"))},
	"silence": {cause: engine.CausePongTimeout, limits: engine.Limits{PingInterval: time.Second},
		happen: func(*phaseCase) {}},
	"no messages": {cause: engine.CauseIdleTimeout, limits: engine.Limits{IdleTimeout: time.Second},
		happen: func(*phaseCase) {}},
	"half a message": {cause: engine.CauseReadTimeout, limits: engine.Limits{ReadTimeout: time.Second},
		happen: sends(frame(0x01, "hal"))},
	"reads nothing": {cause: engine.CauseWriteTimeout, limits: engine.Limits{WriteTimeout: time.Second},
		happen: func(p *phaseCase) { fillTo(p.t, p.ws, 256<<10) }},
}

// off turns off what limits does not set, so that one deadline alone can end the
// connection.
func off(limits engine.Limits) engine.Limits {
	for _, d := range []*time.Duration{&limits.PingInterval, &limits.WriteTimeout, &limits.ReadTimeout} {
		if *d == 0 {
			*d = engine.NoLimit
		}
	}
	return limits
}

// Every way to end has one cause and counts once, also if the last callbacks panic,
// and with workers.
func TestEveryEndCountsOnceByCause(t *testing.T) {
	oops := func(*engine.WebSocket, error) { panic("oops") }
	for variant, set := range map[string]func(*engine.Server){
		"plain": func(*engine.Server) {},
		"panics": func(s *engine.Server) {
			s.Callbacks.OnError = oops
			s.Callbacks.OnClose = func(*engine.WebSocket, engine.StatusCode, string) { panic("oops") }
		},
		"workers": func(s *engine.Server) {
			s.Dispatch = &engine.Dispatch{Workers: 2}
			s.Callbacks.OnClose = func(*engine.WebSocket, engine.StatusCode, string) {}
		},
	} {
		for name, way := range waysToEnd {
			t.Run(variant+"/"+name, func(t *testing.T) {
				t.Parallel()
				endOnce(t, way, set)
			})
		}
	}
	seen := map[engine.CloseCause]bool{engine.CauseNone: true}
	for _, way := range waysToEnd {
		seen[way.cause] = true
	}
	for c := engine.CauseNone; c.String() != "unknown"; c++ {
		if !seen[c] {
			t.Errorf("nothing ends with %q", c)
		}
	}
}

func endOnce(t *testing.T, way wayToEnd, set func(*engine.Server)) {
	p := &phaseCase{t: t}
	opened := make(chan *engine.WebSocket, 1)
	p.srv = &engine.Server{Loops: 1, Limits: off(way.limits), OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	p.srv.Logger, _ = newLog()
	set(p.srv)
	p.clock = drive(t, p.srv)
	p.c = openNarrow(t, listen(t, p.srv))
	p.ws = within(t, "OnUpgrade", opened)
	if c, st := p.ws.Cause(), p.srv.Stats(); c != engine.CauseNone || len(st.Ended) > 0 {
		t.Fatalf("an open connection has the cause %q and counts in %v", c, st.Ended)
	}
	way.happen(p)
	engine.Turn(p.srv)
	stepUntilDone(t, p.clock, p.ws.Done())
	eventually(t, "the connection is gone", func() bool { return p.srv.Conns() == 0 })
	want := map[engine.CloseCause]uint64{way.cause: 1}
	if c, st := p.ws.Cause(), p.srv.Stats(); c != way.cause || !maps.Equal(st.Ended, want) {
		t.Errorf("ended with %q and %v, want %q; counted %v", c, p.ws.Err(), way.cause, st.Ended)
	}
}

// stepUntilDone lets time pass until done.
func stepUntilDone(t *testing.T, clock *drivenClock, done <-chan struct{}) {
	t.Helper()
	for range 60 {
		select {
		case <-done:
			return
		default:
			clock.step(step)
		}
	}
	within(t, "the end of the connection", done)
}
