package engine_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/internal/testkit"
	"github.com/fanloop-go/fanloop/handshake"
)

// fakeServer answers opening handshakes by hand: script gets each connection
// after the head of its request was read.
type fakeServer struct {
	addr     string
	accepted atomic.Int32
}

func fake(t *testing.T, script func(nc net.Conn, req *http.Request)) *fakeServer {
	t.Helper()
	return serveFake(t, func(nc net.Conn) net.Conn { return nc }, script)
}

// serveFake is fake with something over the socket.
func serveFake(t *testing.T, over func(net.Conn) net.Conn, script func(nc net.Conn, req *http.Request)) *fakeServer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &fakeServer{addr: ln.Addr().String()}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			running.Go(func() {
				nc := over(nc)
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				if req, err := http.ReadRequest(bufio.NewReader(nc)); err == nil {
					script(nc, req)
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		running.Wait()
	})
	return s
}

// switching is the head of a valid answer to req, with further lines.
func switching(req *http.Request, lines ...string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		handshake.AcceptKey(req.Header.Get("Sec-WebSocket-Key")) + "\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

func dialFake(s *fakeServer, opt *engine.DialOptions) (*engine.WebSocket, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return engine.Dial(ctx, "ws://"+s.addr+"/chat", opt)
}

// H12
func TestDialRefusesAnswersThatBreakTheProtocol(t *testing.T) {
	answers := map[string]struct {
		answer func(req *http.Request) string
		part   string // of the error
	}{
		"wrong accept": {func(req *http.Request) string {
			return strings.Replace(switching(req), "Accept: ", "Accept: x", 1)
		}, "Sec-WebSocket-Accept"},
		"no accept": {func(*http.Request) string {
			return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
		}, "Sec-WebSocket-Accept"},
		"no Upgrade": {func(req *http.Request) string {
			return strings.Replace(switching(req), "Upgrade: websocket\r\n", "", 1)
		}, "Upgrade"},
		"no Connection": {func(req *http.Request) string {
			return strings.Replace(switching(req), "Connection: Upgrade\r\n", "", 1)
		}, "Connection"},
		"extension never asked for": {func(req *http.Request) string {
			return switching(req, "Sec-WebSocket-Extensions: permessage-deflate")
		}, "Sec-WebSocket-Extensions"},
		"window bits 7": {func(req *http.Request) string {
			return switching(req, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=7")
		}, "Sec-WebSocket-Extensions"},
		"subprotocol never asked for": {func(req *http.Request) string {
			return switching(req, "Sec-WebSocket-Protocol: other")
		}, "Sec-WebSocket-Protocol"},
		"101 with body": {func(req *http.Request) string {
			return switching(req, "Content-Length: 5") + "hello"
		}, "body"},
		"interim answers without end": {func(*http.Request) string {
			return strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 100)
		}, "interim"},
		"too long": {func(req *http.Request) string {
			return switching(req, "X: "+strings.Repeat("a", 8<<10))
		}, "MaxHead"}, // S-b
		"not HTTP":     {func(*http.Request) string { return "SSH-2.0-OpenSSH_9.9\r\n" }, ""},
		"bare LF":      {func(req *http.Request) string { return strings.ReplaceAll(switching(req), "\r\n", "\n") }, ""},
		"too many":     {func(req *http.Request) string { return switching(req, many("X: 1", 100)...) }, "MaxHeaders"}, // S-b
		"two accepts":  {func(req *http.Request) string { return switching(req, "Sec-WebSocket-Accept: x") }, "Sec-WebSocket-Accept"},
		"HTTP version": {func(req *http.Request) string { return strings.Replace(switching(req), "1.1", "1.0", 1) }, ""},
	}
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, c.answer(req))
				_, _ = io.Copy(io.Discard, nc) // until the client gives up
			})
			ws, err := dialFake(s, &engine.DialOptions{Subprotocols: []string{"chat"}})
			var refused *handshake.ResponseError
			if !errors.As(err, &refused) || ws != nil {
				t.Fatalf("Dial returned %v, %v; want a *handshake.ResponseError", ws, err)
			}
			if !strings.Contains(err.Error(), c.part) || !strings.Contains(err.Error(), s.addr) {
				t.Errorf("the error does not say what is wrong: %v", err)
			}
			if n := s.accepted.Load(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
		})
	}
}

// F-l: what comes before the answer, and headers without meaning in it, end no Dial.
func TestDialTakesAnswersWithOneReading(t *testing.T) {
	for name, answer := range map[string]func(req *http.Request) string{
		"100": func(req *http.Request) string { return "HTTP/1.1 100 Continue\r\n\r\n" + switching(req) },
		"103": func(req *http.Request) string {
			return "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + switching(req)
		},
		"Content-Length: 0": func(req *http.Request) string { return switching(req, "Content-Length: 0") },
		"chunked":           func(req *http.Request) string { return switching(req, "Transfer-Encoding: chunked") },
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, answer(req)+string(codec.AppendFrame(nil, engine.Text, true, []byte("first"))))
				_, _ = io.Copy(io.Discard, nc)
			})
			got := make(chan string, 1)
			statuses := make(chan int, 8)
			ws, err := dialFake(s, &engine.DialOptions{
				OnResponse: func(resp *handshake.Response) { statuses <- resp.Status },
				Callbacks:  engine.Callbacks{OnText: func(_ *engine.WebSocket, text []byte) { got <- string(text) }},
			})
			if err != nil {
				t.Fatal(err)
			}
			if text := within(t, "the first message", got); text != "first" {
				t.Errorf("got %q", text)
			}
			if status := within(t, "OnResponse", statuses); status != 101 || len(statuses) > 0 {
				t.Errorf("OnResponse got %d and %d more, want 101 only", status, len(statuses))
			}
			ws.CloseNow()
			within(t, "the end", ws.Done())
		})
	}
}

// F-l: a refusal is one, also behind an interim answer.
func TestDialReportsTheStatusBehindInterimAnswers(t *testing.T) {
	s := fake(t, func(nc net.Conn, _ *http.Request) {
		_, _ = io.WriteString(nc, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 503 Later\r\nRetry-After: 5\r\n\r\n")
	})
	_, err := dialFake(s, nil)
	var refused *engine.StatusError
	if !errors.As(err, &refused) || refused.Status != 503 || refused.Header["Retry-After"] == nil {
		t.Errorf("Dial returned %v, want a *StatusError with 503", err)
	}
}

// S-b: which limit it is can be asked, and raised.
func TestDialSaysWhichLimitAnAnswerIsOver(t *testing.T) {
	s := fake(t, func(nc net.Conn, req *http.Request) {
		_, _ = io.WriteString(nc, switching(req, many("X: 1", 200)...))
		_, _ = io.Copy(io.Discard, nc)
	})
	_, err := dialFake(s, nil)
	var over *handshake.LimitError
	if !errors.As(err, &over) || over.Limit != "MaxHeaders" || over.Max != 100 {
		t.Fatalf("Dial returned %v, want a *handshake.LimitError for MaxHeaders", err)
	}
	ws, err := dialFake(s, &engine.DialOptions{Limits: engine.Limits{MaxHeaders: 300}})
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
}

// H12
func TestDialReportsOtherStatus(t *testing.T) {
	for _, status := range []int{200, 204, 301, 302, 307, 400, 401, 403, 426, 500, 503} {
		s := fake(t, func(nc net.Conn, req *http.Request) {
			resp := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{
				"Location": {"ws://" + req.Host + "/chat"}, // a loop, if it were followed
			}}
			_ = resp.Write(nc)
		})
		ws, err := dialFake(s, nil)
		var refused *engine.StatusError
		if !errors.As(err, &refused) || ws != nil {
			t.Fatalf("%d: Dial returned %v, %v; want a *StatusError", status, ws, err)
		}
		if refused.Status != status || refused.Header["Location"] == nil {
			t.Errorf("%d: the error holds %d %v", status, refused.Status, refused.Header)
		}
		if n := s.accepted.Load(); n != 1 {
			t.Errorf("%d: %d connections, want 1", status, n)
		}
	}
}

// H12
func TestEndlessAnswerCostsLittleMemory(t *testing.T) {
	const sent = 8 << 20
	for name, part := range map[string]string{
		"header line":  strings.Repeat("a", 4<<10),
		"header lines": strings.Repeat("X: abcdefghijklmnop\r\n", 200),
	} {
		t.Run(name, func(t *testing.T) {
			octets := []byte(part) // WriteString would allocate each time
			s := fake(t, func(nc net.Conn, _ *http.Request) {
				if _, err := io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nX: "); err != nil {
					return
				}
				for range sent / len(octets) {
					if _, err := nc.Write(octets); err != nil {
						return // the client gave up
					}
				}
			})
			before, _ := allocated()
			_, err := dialFake(s, nil)
			after, _ := allocated()
			var refused *handshake.ResponseError
			if !errors.As(err, &refused) || !errors.Is(err, handshake.ErrHeadTooLarge) {
				t.Fatalf("Dial returned %v, want ErrHeadTooLarge", err)
			}
			if after-before > 1<<20 {
				t.Errorf("%d bytes were allocated for an endless answer", after-before)
			}
		})
	}
}

// H12
func TestDialToServerThatGoesAway(t *testing.T) {
	for name, answer := range map[string]string{
		"at once":   "",
		"mid head":  "HTTP/1.1 101 Switching Protocols\r\nUpgr",
		"mid start": "HTT",
	} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(nc net.Conn, _ *http.Request) { _, _ = io.WriteString(nc, answer) })
			if _, err := dialFake(s, nil); !errors.Is(err, engine.ErrAbnormalClosure) {
				t.Fatalf("Dial returned %v, want ErrAbnormalClosure", err)
			}
		})
	}
}

// H12
func TestDialToSilentServerTimesOut(t *testing.T) {
	for name, drip := range map[string]bool{"silent": false, "dripping": true} {
		t.Run(name, func(t *testing.T) {
			s := fake(t, func(nc net.Conn, req *http.Request) {
				if answer := switching(req); drip {
					_, _ = io.WriteString(nc, answer[:len(answer)-1])
				}
				_, _ = io.Copy(io.Discard, nc)
			})
			limits := engine.Limits{HandshakeTimeout: 50 * time.Millisecond}
			if _, err := dialFake(s, &engine.DialOptions{Limits: limits}); !errors.Is(err, engine.ErrHandshakeTimeout) {
				t.Fatalf("Dial returned %v, want ErrHandshakeTimeout", err)
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	why := errors.New("not wanted any more")
	asked := make(chan struct{}, 1)
	s := fake(t, func(nc net.Conn, _ *http.Request) {
		asked <- struct{}{}
		_, _ = io.Copy(io.Discard, nc)
	})
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() {
		<-asked
		cancel(why)
	}()
	if _, err := engine.Dial(ctx, "ws://"+s.addr, nil); !errors.Is(err, why) {
		t.Fatalf("Dial returned %v, want the cause of its context", err)
	}
	if _, err := engine.Dial(ctx, "ws://"+s.addr, nil); !errors.Is(err, why) {
		t.Fatalf("Dial with a context that has ended returned %v, want its cause", err)
	}
}

// H13
func TestDialRefusesHeaderThatWouldSplitTheRequest(t *testing.T) {
	s := fake(t, func(net.Conn, *http.Request) { t.Error("a request was sent") })
	for name, opt := range map[string]*engine.DialOptions{
		"CRLF in value":      {Header: http.Header{"X-Name": {"a\r\nX-Other: 1"}}},
		"LF in value":        {Header: http.Header{"X-Name": {"a\nb"}}},
		"CRLF in name":       {Header: http.Header{"X-Name\r\nX-Other": {"1"}}},
		"CRLF in Origin":     {Origin: "https://a\r\nX-Other: 1"},
		"CRLF in protocol":   {Subprotocols: []string{"a\r\nX-Other: 1"}},
		"own handshake part": {Header: http.Header{"Sec-Websocket-Key": {"mine"}}},
	} {
		_, err := dialFake(s, opt)
		var refused *handshake.HeaderError
		if !errors.As(err, &refused) {
			t.Errorf("%s: Dial returned %v, want a *handshake.HeaderError", name, err)
		}
	}
	if n := s.accepted.Load(); n != 0 {
		t.Errorf("%d connections, want none", n)
	}
}

func TestDialRefusesURLsItCannotServe(t *testing.T) {
	for _, url := range []string{"ftp://a/", "a", "ws://", "ws:///path", "ws://a/#part", "ws://a:b/", "\x7f"} {
		if _, err := engine.Dial(context.Background(), url, nil); err == nil {
			t.Errorf("Dial(%q) did not fail", url)
		}
	}
}

// http:// is what httptest.Server and browsers have.
func TestDialTakesAWebURL(t *testing.T) {
	srv := &engine.Server{Callbacks: echo}
	ws, err := engine.Dial(context.Background(), "http://"+listen(t, srv)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	within(t, "the end", ws.Done())
}

// H04, H09: on the client's side.
func TestAnswerAndFirstFrameSplitAtEveryByte(t *testing.T) {
	length := len(switching(&http.Request{}))
	frame := string(codec.AppendFrame(nil, engine.Text, true, []byte("first")))
	for cut := range length + len(frame) + 1 {
		s := fake(t, func(nc net.Conn, req *http.Request) {
			octets := switching(req) + frame
			_, _ = io.WriteString(nc, octets[:cut])
			_, _ = io.WriteString(nc, octets[cut:])
			_, _ = io.Copy(io.Discard, nc)
		})
		got := make(chan string, 8)
		var ready atomic.Bool
		ws, err := dialFake(s, &engine.DialOptions{OnUpgrade: func(ws *engine.WebSocket) {
			ready.Store(true)
			ws.OnText(func(_ *engine.WebSocket, text []byte) { got <- string(text) })
		}})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if text := within(t, "the first message", got); text != "first" || !ready.Load() {
			t.Fatalf("cut at %d: %q, OnUpgrade before it: %v", cut, text, ready.Load())
		}
		ws.CloseNow()
		within(t, "the end", ws.Done())
		if len(got) > 0 {
			t.Fatalf("cut at %d: the first message was delivered again", cut)
		}
	}
}

// F03, F04, F06, F10, F11: what a client answers to a server that breaks rules.
func TestClientFailsServersThatBreakFraming(t *testing.T) {
	cases := map[string]struct {
		frame string
		code  engine.StatusCode
	}{
		"masked":          {testkit.Masked(engine.Text, "hi"), engine.StatusProtocolError},
		"RSV1":            {"\xc1\x00", engine.StatusProtocolError},
		"reserved opcode": {"\x83\x00", engine.StatusProtocolError},
		"bad UTF-8":       {"\x81\x01\xff", engine.StatusInvalidFramePayloadData},
		"too big":         {"\x82\x7e\x04\x01", engine.StatusMessageTooBig},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			type answer struct {
				h       codec.Header
				payload []byte
			}
			answers := make(chan answer, 1)
			s := fake(t, func(nc net.Conn, req *http.Request) {
				_, _ = io.WriteString(nc, switching(req)+c.frame)
				raw, _ := io.ReadAll(nc)
				if h, n, err := codec.ParseHeader(raw); err == nil && n > 0 && len(raw) == n+int(h.Length) {
					for i := range raw[n:] {
						raw[n+i] ^= h.Mask[i%4]
					}
					answers <- answer{h, raw[n:]}
				} else {
					t.Errorf("the client sent % x", raw)
					answers <- answer{}
				}
			})
			ws, err := dialFake(s, &engine.DialOptions{Limits: engine.Limits{MaxMessage: 1024}})
			if err != nil {
				t.Fatal(err)
			}
			a := within(t, "the close frame of the client", answers)
			code, _, err := codec.ParseClosePayload(a.payload)
			if err != nil || a.h.OpCode != codec.Close || !a.h.Masked || code != c.code {
				t.Errorf("the client sent %+v %d, %v; want a masked close frame with %d", a.h, code, err, c.code)
			}
			within(t, "the end", ws.Done())
			var broken *engine.ProtocolError
			if !errors.As(ws.Err(), &broken) || broken.Code != c.code {
				t.Errorf("Err is %v, want a ProtocolError with %d", ws.Err(), c.code)
			}
		})
	}
}
