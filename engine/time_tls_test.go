package engine_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// trickle is a net.Conn that keeps what is written to it, once it is dammed.
type trickle struct {
	net.Conn
	dammed bool
	kept   []byte
}

func (w *trickle) Write(b []byte) (int, error) {
	if !w.dammed {
		return w.Conn.Write(b)
	}
	w.kept = append(w.kept, b...)
	return len(b), nil
}

// pass sends at most n octets of what is kept.
func (w *trickle) pass(t *testing.T, n int) {
	t.Helper()
	n = min(n, len(w.kept))
	if _, err := w.Conn.Write(w.kept[:n]); err != nil {
		t.Fatal(err)
	}
	w.kept = w.kept[n:]
}

// trickling is a server with a driven clock, and a client whose next message is one
// record of which nothing has been sent.
func trickling(t *testing.T, cb engine.Callbacks, limits engine.Limits) (w *trickle, c *rawClient, clock *drivenClock, ended <-chan ending) {
	t.Helper()
	cb, ended = record(cb)
	srv := &engine.Server{Loops: 1, Limits: limits, Callbacks: cb}
	clock = drive(t, srv)
	id := testkit.NewIdentity(t, "server")
	addr := listenTLS(t, srv, id)
	w = &trickle{Conn: dialRaw(t, addr).Conn}
	config := id.Client()
	config.DynamicRecordSizingDisabled = true
	c = newRawClient(t, w).secured(config)
	c.send(testkit.UpgradeHead(addr))
	c.wantUpgraded()
	w.dammed = true
	c.send(testkit.Masked(engine.Binary, string(pattern(16<<10-8)))) // with its head as much as a record takes
	return w, c, clock, ended
}

// T02: a record that arrives slowly is a sign of life, and a message that is
// arriving, before any of it can be decrypted.
func TestARecordThatArrivesSlowlyIsLife(t *testing.T) {
	idle := timed
	idle.IdleTimeout, idle.ReadTimeout = time.Second, engine.NoLimit
	for name, limits := range map[string]engine.Limits{"pings and ReadTimeout": timed, "IdleTimeout": idle} {
		t.Run(name, func(t *testing.T) {
			got := make(chan int, 1)
			w, _, clock, ended := trickling(t, engine.Callbacks{
				OnBinary: func(_ *engine.WebSocket, b []byte) { got <- len(b) },
			}, limits)
			for len(w.kept) > 0 {
				w.pass(t, 1500)
				engine.Turn(clock.srv)
				clock.step(step)
				notEnded(t, ended)
			}
			if n := within(t, "OnBinary", got); n != 16<<10-8 {
				t.Errorf("%d octets arrived", n)
			}
		})
	}
}

// T03, T08: octets of a record now and then are neither.
func TestARecordThatDoesNotGetOnEnds(t *testing.T) {
	idle := timed
	idle.IdleTimeout, idle.ReadTimeout = time.Second, engine.NoLimit
	for name, tt := range map[string]struct {
		limits engine.Limits
		want   error
	}{"ReadTimeout": {timed, engine.ErrReadTimeout}, "IdleTimeout": {idle, engine.ErrIdleTimeout}} {
		t.Run(name, func(t *testing.T) {
			w, _, clock, ended := trickling(t, engine.Callbacks{}, tt.limits)
			w.pass(t, 1500)
			e := stepToTheEnd(t, clock, ended, func() { w.pass(t, 1); engine.Turn(clock.srv) })
			if !errors.Is(e.err, tt.want) {
				t.Errorf("ended with %v", e)
			}
		})
	}
}

// theOnly returns the open connection of srv.
func theOnly(t *testing.T, srv *engine.Server) *engine.WebSocket {
	t.Helper()
	found := make(chan *engine.WebSocket, 1)
	srv.Each(func(ws *engine.WebSocket) { found <- ws })
	return within(t, "Each", found)
}

// T06: a peer that is sending a record when this side closes is waited for, as long
// as it gets on: it answers after it.
func TestCloseWaitsForARecordThatArrives(t *testing.T) {
	w, c, clock, ended := trickling(t, engine.Callbacks{}, timed)
	w.pass(t, 1500)
	engine.Turn(clock.srv)
	if err := theOnly(t, clock.srv).Close(4000, "enough"); err != nil {
		t.Fatal(err)
	}
	for len(w.kept) > 0 {
		w.pass(t, 1500)
		engine.Turn(clock.srv)
		clock.step(step)
		notEnded(t, ended)
	}
	w.dammed = false
	c.wantFrame(codec.Close, true, closePayload(4000, "enough"))
	c.send(frame(0x88, closePayload(4000, "enough")))
	_, _ = io.Copy(io.Discard, c.br)
	_ = c.Close()
	wantEnding(t, ended, 4000, "enough", nil)
}

// The rest of a record that is not read because reading is paused is not late.
func TestAPauseIsNotHeldAgainstARecord(t *testing.T) {
	got := make(chan int, 1)
	w, _, clock, ended := trickling(t, engine.Callbacks{
		OnBinary: func(_ *engine.WebSocket, b []byte) { got <- len(b) },
	}, timed)
	w.pass(t, 1500)
	engine.Turn(clock.srv)
	ws := theOnly(t, clock.srv)
	ws.PauseReading()
	for range 20 {
		clock.step(step)
		notEnded(t, ended)
	}
	ws.ResumeReading()
	clock.step(step)
	notEnded(t, ended)
	w.pass(t, len(w.kept))
	within(t, "OnBinary", got)
}
