package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// ending is how a connection ended, as its OnClose saw it.
type ending struct {
	code   engine.StatusCode
	reason string
	err    error
}

func (e ending) String() string { return fmt.Sprintf("%d %q, %v", e.code, e.reason, e.err) }

// record makes cb tell how each connection ended.
func record(cb engine.Callbacks) (engine.Callbacks, <-chan ending) {
	ended := make(chan ending, 16)
	cb.OnClose = func(ws *engine.WebSocket, code engine.StatusCode, reason string) {
		ended <- ending{code, reason, ws.Err()}
	}
	return cb, ended
}

// wantEnding takes the next ending and compares it; err is for errors.Is.
func wantEnding(t *testing.T, ended <-chan ending, code engine.StatusCode, reason string, err error) {
	t.Helper()
	got := within(t, "OnClose", ended)
	if got.code != code || got.reason != reason || !errors.Is(got.err, err) {
		t.Errorf("ended with %d %q, %v; want %d %q, %v", got.code, got.reason, got.err, code, reason, err)
	}
}

// closeOnText closes with what the text says: the code 4000 and a reason.
func closeOnText(ws *engine.WebSocket, text []byte) { _ = ws.Close(4000, string(text)) }

func TestServerBeginsTheClosingHandshake(t *testing.T) {
	cb, ended := record(engine.Callbacks{OnText: closeOnText})
	c := openRaw(t, listen(t, &engine.Server{Callbacks: cb}))
	c.send(frame(0x81, "so long"))
	c.wantFrame(codec.Close, true, closePayload(4000, "so long"))
	c.send(frame(0x81, "not heard any more") + frame(0x88, closePayload(4001, "you too")))
	c.wantEOF()
	_ = c.Close()
	wantEnding(t, ended, 4001, "you too", nil)
}

func TestClientBeginsTheClosingHandshake(t *testing.T) {
	cb, ended := record(engine.Callbacks{})
	addr := listen(t, &engine.Server{Callbacks: cb})
	for _, payload := range []string{closePayload(3000, "done"), closePayload(1000, ""), ""} {
		c := openRaw(t, addr)
		c.send(frame(0x88, payload))
		c.wantFrame(codec.Close, true, payload[:min(2, len(payload))])
		c.wantEOF()
		_ = c.Close()
		if payload == "" {
			wantEnding(t, ended, engine.StatusNoStatusRcvd, "", nil)
		} else {
			code, reason, _ := codec.ParseClosePayload([]byte(payload))
			wantEnding(t, ended, code, reason, nil)
		}
	}
}

func TestBothSidesSeeTheClosingHandshakeOfTheOther(t *testing.T) {
	for _, first := range []string{"server", "client"} {
		t.Run(first, func(t *testing.T) {
			serverSide, serverEnded := record(engine.Callbacks{OnText: closeOnText})
			clientSide, clientEnded := record(engine.Callbacks{})
			addr := listen(t, &engine.Server{Callbacks: serverSide})
			ws := dialEngine(t, addr, &engine.DialOptions{Callbacks: clientSide})
			if first == "server" {
				_ = ws.SendText("bye")
				wantEnding(t, clientEnded, 4000, "bye", nil)
				wantEnding(t, serverEnded, 4000, "", nil) // the echo has no reason
				return
			}
			if err := ws.Close(3999, "enough"); err != nil {
				t.Fatal(err)
			}
			wantEnding(t, serverEnded, 3999, "enough", nil)
			wantEnding(t, clientEnded, 3999, "", nil)
		})
	}
}

// F16
func TestOneCloseFrameGoesOut(t *testing.T) {
	cases := map[string]struct {
		onText func(ws *engine.WebSocket, text []byte)
		octets string
		want   string
	}{
		"close twice":  {func(ws *engine.WebSocket, _ []byte) { _ = ws.Close(4000, ""); _ = ws.Close(4001, "") }, frame(0x81, "") + frame(0x88, ""), "close 4000"},
		"simultaneous": {closeOnText, frame(0x81, "") + frame(0x88, closePayload(1000, "")), "close 4000"},
		"broken rule":  {closeOnText, frame(0x81, "") + frame(0x83, ""), "close 4000"},
		"bad close":    {closeOnText, frame(0x81, "") + frame(0x88, "\x03"), "close 4000"},
		"then panic":   {func(ws *engine.WebSocket, _ []byte) { _ = ws.Close(4000, ""); panic("oops") }, frame(0x81, ""), "close 4000"},
		"no code":      {func(ws *engine.WebSocket, _ []byte) { _ = ws.Close(0, "lost") }, frame(0x81, "") + frame(0x88, ""), "close -"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, &engine.Server{Callbacks: engine.Callbacks{OnText: c.onText}})
			if got := transcript(t, addr, []string{c.octets}); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestPeerThatDoesNotAnswerACloseIsDropped(t *testing.T) {
	cb, ended := record(engine.Callbacks{OnText: closeOnText})
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{CloseTimeout: 30 * time.Millisecond}})
	c := openRaw(t, addr)
	c.send(frame(0x81, "bye"))
	c.wantFrame(codec.Close, true, closePayload(4000, "bye"))
	wantEnding(t, ended, engine.StatusAbnormalClosure, "", engine.ErrCloseTimeout)
	c.wantGone()
}

func TestPeerThatAnswersACloseAndStaysIsDropped(t *testing.T) {
	cb, ended := record(engine.Callbacks{OnText: closeOnText})
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{CloseTimeout: 30 * time.Millisecond}})
	c := openRaw(t, addr)
	c.send(frame(0x81, "bye") + frame(0x88, closePayload(4000, "")))
	wantEnding(t, ended, 4000, "", nil)
}

func TestFailedPeerThatStaysIsDropped(t *testing.T) {
	cb, ended := record(engine.Callbacks{OnError: func(ws *engine.WebSocket, _ error) {
		if code, reason := ws.CloseStatus(); code != 0 || reason != "" {
			t.Errorf("CloseStatus is %d %q before the end", code, reason)
		}
	}})
	addr := listen(t, &engine.Server{Callbacks: cb, Limits: engine.Limits{CloseTimeout: 30 * time.Millisecond}})
	c := openRaw(t, addr)
	c.send(frame(0x83, ""))
	got := within(t, "OnClose", ended)
	var broken *engine.ProtocolError
	if got.code != engine.StatusProtocolError || !errors.As(got.err, &broken) || broken.Reason != got.reason {
		t.Errorf("ended with %+v", got)
	}
}

func TestServerThatDoesNotEndTheTransportIsDropped(t *testing.T) {
	cb, ended := record(engine.Callbacks{})
	cb.OnText = closeOnText
	s := fake(t, func(nc net.Conn, req *http.Request) {
		_, _ = io.WriteString(nc, switching(req)+"\x88\x02\x03\xe8")
		_, _ = io.Copy(io.Discard, nc)
	})
	if _, err := dialFake(s, &engine.DialOptions{Callbacks: cb, Limits: engine.Limits{CloseTimeout: 30 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	wantEnding(t, ended, engine.StatusNormalClosure, "", nil)
}

func TestCloseNowIsSeenAs1006(t *testing.T) {
	serverSide, serverEnded := record(engine.Callbacks{
		OnText: func(ws *engine.WebSocket, _ []byte) {
			ws.CloseNow()
			if err := ws.SendText("never sent"); !errors.Is(err, engine.ErrClosed) {
				t.Errorf("Send after CloseNow returned %v, want ErrClosed", err)
			}
		},
		OnBinary: func(*engine.WebSocket, []byte) { t.Error("a message was delivered after CloseNow") },
		OnError:  func(_ *engine.WebSocket, err error) { t.Error("OnError for what this side did:", err) },
	})
	clientSide, clientEnded := record(engine.Callbacks{})
	addr := listen(t, &engine.Server{Callbacks: serverSide})
	c := openRaw(t, addr)
	c.send(frame(0x81, "") + frame(0x82, "") + frame(0x88, ""))
	c.wantEOF()
	wantEnding(t, serverEnded, engine.StatusAbnormalClosure, "", engine.ErrClosed)

	ws := dialEngine(t, addr, &engine.DialOptions{Callbacks: clientSide})
	_ = ws.SendText("")
	wantEnding(t, clientEnded, engine.StatusAbnormalClosure, "", engine.ErrAbnormalClosure)
	wantEnding(t, serverEnded, engine.StatusAbnormalClosure, "", engine.ErrClosed)
}

func TestPeerThatVanishesIsSeenAs1006(t *testing.T) {
	cb, ended := record(echo)
	addr := listen(t, &engine.Server{Callbacks: cb})

	c := openRaw(t, addr)
	_ = c.Close()
	wantEnding(t, ended, engine.StatusAbnormalClosure, "", engine.ErrAbnormalClosure)

	c = openRaw(t, addr)
	c.send(frame(0x01, "half a message"))
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	c.wantEOF()
	wantEnding(t, ended, engine.StatusAbnormalClosure, "", engine.ErrAbnormalClosure)

	c = openRaw(t, addr)
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	_ = c.Close()
	got := within(t, "OnClose", ended)
	if got.code != engine.StatusAbnormalClosure || !errors.Is(got.err, engine.ErrAbnormalClosure) || !errors.Is(got.err, syscall.ECONNRESET) {
		t.Errorf("after a reset: %+v", got)
	}
}

func TestEchoOfHalfClosedClientStillArrives(t *testing.T) {
	c := openRaw(t, listen(t, &engine.Server{Callbacks: echo}))
	c.send(frame(0x81, "last words"))
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	c.wantMessage(engine.Text, "last words")
	c.wantEOF()
}

func TestWhatIsQueuedIsSentBeforeTheCloseFrame(t *testing.T) {
	const size = 3 << 20
	srv := &engine.Server{
		Limits: engine.Limits{CloseTimeout: time.Hour}, // reading it all counts too
		Callbacks: engine.Callbacks{OnText: func(ws *engine.WebSocket, _ []byte) {
			for range 4 {
				if err := ws.SendBinary(pattern(size)); err != nil {
					t.Error(err)
				}
			}
			_ = ws.Close(engine.StatusNormalClosure, "")
		}},
	}
	c := openRaw(t, listen(t, srv))
	c.send(frame(0x81, ""))
	for range 4 {
		h, p, err := c.readFrame()
		if err != nil || h.OpCode != engine.Binary || !bytes.Equal(p, pattern(size)) {
			t.Fatalf("%v of %d bytes, %v", h.OpCode, len(p), err)
		}
	}
	c.wantFrame(codec.Close, true, closePayload(1000, ""))
	c.send(frame(0x88, closePayload(1000, "")))
	c.wantEOF()
}

func TestCloseRefusesCodesThatMayNotBeSent(t *testing.T) {
	addr := listen(t, &engine.Server{Callbacks: echo})
	got := make(chan string, 1)
	ws := dialEngine(t, addr, &engine.DialOptions{Callbacks: engine.Callbacks{
		OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) },
	}})
	for _, code := range []engine.StatusCode{1, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65535} {
		if err := ws.Close(code, ""); !errors.Is(err, engine.ErrInvalidStatus) {
			t.Errorf("Close(%d) returned %v, want ErrInvalidStatus", code, err)
		}
	}
	_ = ws.SendText("still open")
	if text := within(t, "the echo", got); text != "still open" {
		t.Errorf("got %q", text)
	}
}

func TestLongReasonIsCut(t *testing.T) {
	c := openRaw(t, listen(t, &engine.Server{Callbacks: engine.Callbacks{OnText: closeOnText}}))
	c.send(frame(0x81, strings.Repeat("€", 100)))
	c.wantFrame(codec.Close, true, closePayload(4000, strings.Repeat("€", 41)))
}

// TestDoneIsClosedAfterOnCloseReturned asks for Done before and after the end,
// from other goroutines.
func TestDoneIsClosedAfterOnCloseReturned(t *testing.T) {
	opened, hold := make(chan *engine.WebSocket, 1), make(chan struct{})
	closing := make(chan struct{})
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnClose: func(*engine.WebSocket, engine.StatusCode, string) {
			close(closing)
			<-hold
		}},
	})
	c := openRaw(t, addr)
	ws := within(t, "OnUpgrade", opened)
	before := ws.Done()
	if code, reason := ws.CloseStatus(); code != 0 || reason != "" || ws.Err() != nil {
		t.Errorf("while it is open: %d %q, %v", code, reason, ws.Err())
	}
	c.send(frame(0x88, closePayload(3333, "why")))
	c.wantClose(3333)
	_ = c.Close()
	within(t, "OnClose", closing)
	during := ws.Done()
	select {
	case <-before:
		t.Error("Done was closed while OnClose runs")
	case <-during:
		t.Error("Done was closed while OnClose runs")
	default:
	}
	close(hold)
	within(t, "Done, asked for before the end", before)
	within(t, "Done, asked for during the end", during)
	within(t, "Done, asked for after the end", ws.Done())
	if code, reason := ws.CloseStatus(); code != 3333 || reason != "why" || ws.Err() != nil {
		t.Errorf("after the end: %d %q, %v", code, reason, ws.Err())
	}
}
