package engine_test

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// expiring opens a connection on a clock to drive.
func expiring(t *testing.T, limits engine.Limits) *phaseCase {
	p := &phaseCase{t: t}
	opened := make(chan *engine.WebSocket, 1)
	p.srv = &engine.Server{Loops: 1, Limits: limits, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws }}
	p.clock = drive(t, p.srv)
	p.c = openNarrow(t, listen(t, p.srv))
	p.ws = within(t, "OnUpgrade", opened)
	return p
}

// closeIn lets p be closed in d of its clock.
func (p *phaseCase) closeIn(d time.Duration, reason string) {
	p.t.Helper()
	if err := p.ws.CloseAt(time.Now().Add(d), engine.StatusPolicyViolation, reason); err != nil {
		p.t.Fatal(err)
	}
}

// wantOpen fails if p is closed or closing.
func (p *phaseCase) wantOpen() {
	p.t.Helper()
	if phase := engine.PhaseOf(p.ws); phase != "open" {
		p.t.Fatalf("it is %s: %v", phase, p.ws.Cause())
	}
}

// A connection closes at its time, with the code and reason that go with it, whatever
// limits are on and though it is busy or paused.
func TestCloseAtClosesInTime(t *testing.T) {
	for name, limits := range map[string]engine.Limits{
		"limits":    off(engine.Limits{IdleTimeout: 2 * time.Hour, WriteTimeout: time.Minute, ReadTimeout: time.Minute}),
		"no limits": off(engine.Limits{}),
	} {
		for name2, meanwhile := range map[string]func(p *phaseCase){
			"quiet":  func(*phaseCase) {},
			"paused": func(p *phaseCase) { p.ws.PauseReading() },
			"busy":   func(p *phaseCase) { p.c.send(frame(0x81, "hello")) },
		} {
			t.Run(name+"/"+name2, func(t *testing.T) {
				p := expiring(t, limits)
				p.closeIn(time.Hour, "token expired")
				for range 59 {
					meanwhile(p)
					p.clock.step(time.Minute)
					p.wantOpen()
				}
				p.clock.step(time.Minute + time.Second)
				p.c.wantFrame(codec.Close, true, closePayload(1008, "token expired"))
				p.c.send(frame(0x88, closePayload(1008, "")))
				_ = p.c.Close()
				within(t, "the end", p.ws.Done())
				if c := p.ws.Cause(); c != engine.CauseExpired {
					t.Errorf("the cause is %q", c)
				}
			})
		}
	}
}

// A later call moves the end, sooner or later, or takes it back.
func TestCloseAtIsRenewed(t *testing.T) {
	p := expiring(t, off(engine.Limits{}))
	p.closeIn(time.Minute, "first")
	for range 10 {
		p.clock.step(30 * time.Second)
		p.wantOpen()
		p.closeIn(time.Minute, "again")
	}
	if err := p.ws.CloseAt(time.Time{}, 0, ""); err != nil {
		t.Fatal(err)
	}
	p.clock.step(1000 * time.Hour)
	p.wantOpen()
	p.closeIn(2*365*24*time.Hour, "a timer of the loop takes a year at most")
	p.clock.step(2*365*24*time.Hour - time.Hour)
	p.wantOpen()
	p.closeIn(1<<62, "never")
	p.clock.step(time.Hour * 2)
	p.wantOpen()
	p.closeIn(time.Minute, "sooner")
	p.clock.step(time.Minute + time.Second)
	p.c.wantFrame(codec.Close, true, closePayload(1008, "sooner"))
}

func TestCloseAtInThePastClosesAtOnce(t *testing.T) {
	p := expiring(t, engine.Limits{})
	p.closeIn(-time.Hour, "late")
	p.c.wantFrame(codec.Close, true, closePayload(1008, "late"))
	if err := p.ws.CloseAt(time.Now(), 1008, ""); err != engine.ErrClosed {
		t.Errorf("while closing: %v", err)
	}
	if err := p.ws.CloseAt(time.Now(), 1006, ""); err != engine.ErrInvalidStatus {
		t.Errorf("1006: %v", err)
	}
}

// Whoever renews its token all the time is held to the other limits as before.
func TestRenewingKeepsNoOtherDeadlineOff(t *testing.T) {
	for name, tt := range map[string]struct {
		limits engine.Limits
		happen func(p *phaseCase)
		want   engine.CloseCause
	}{
		"pong":  {engine.Limits{PingInterval: 2 * time.Second}, func(*phaseCase) {}, engine.CausePongTimeout},
		"idle":  {engine.Limits{IdleTimeout: 2 * time.Second}, func(*phaseCase) {}, engine.CauseIdleTimeout},
		"write": {engine.Limits{WriteTimeout: 2 * time.Second}, func(p *phaseCase) { fillTo(p.t, p.ws, 256<<10) }, engine.CauseWriteTimeout},
		"read":  {engine.Limits{ReadTimeout: 2 * time.Second}, sends(frame(0x01, "hal")), engine.CauseReadTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			p := expiring(t, off(tt.limits))
			tt.happen(p)
			for range 30 {
				if p.ws.Cause() == engine.CauseNone {
					_ = p.ws.CloseAt(time.Now().Add(time.Hour), 1008, "") // closing meanwhile
				}
				p.clock.step(step)
			}
			if c := p.ws.Cause(); c != tt.want {
				t.Errorf("after a long time: %q, want %q", c, tt.want)
			}
		})
	}
}

// The answer to the close frame is read, though reading was paused and something waits.
func TestCloseAtReadsTheAnswerOfAPausedPeer(t *testing.T) {
	p := expiring(t, off(engine.Limits{}))
	p.ws.PauseReading()
	p.c.send(frame(0x81, "it is held"))
	eventually(t, "the message is held", func() bool { engine.Turn(p.srv); return p.srv.Memory().Assembly > 0 })
	p.c.send(frame(0x81, "it stays in the kernel"))
	p.closeIn(time.Minute, "token expired")
	p.clock.step(time.Minute + time.Second)
	p.c.wantFrame(codec.Close, true, closePayload(1008, "token expired"))
	p.c.send(frame(0x88, closePayload(1008, "")))
	eventually(t, "the answer is read", func() bool { return engine.PhaseOf(p.ws) != "closing" })
	_ = p.c.Close()
	within(t, "the end", p.ws.Done())
	if c := p.ws.Cause(); c != engine.CauseExpired {
		t.Errorf("the cause is %q, %v", c, p.ws.Err())
	}
}
