package loop

import (
	"bytes"
	"crypto/tls"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// tap is a net.Conn that notes what it reads.
type tap struct {
	net.Conn
	mu   sync.Mutex
	seen []byte
}

func (w *tap) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, p[:n]...)
	return n, err
}

// Whatever way bytes take, none leaves an encrypted connection as it was
// written, and all arrive in order.
func TestNothingLeavesAnEncryptedConnectionInPlain(t *testing.T) {
	const mark = "IN PLAIN "
	text := func(n int) []byte { return bytes.Repeat([]byte(mark), n/len(mark)+1) }
	small, large := text(100), text(3*gatherMin)
	huge := text(300 << 10)
	all := func(s *scripted) {
		_ = s.Write(small[:3], small[3:])
		_ = s.WriteShared(NewShared(small))
		_ = s.Write(small, large)
		_ = s.Write(nil, small)
		_ = s.WriteShared(NewShared(large))
		_ = s.Write(small[:5], huge)
	}
	queueAndFlush := func(s *scripted) {
		s.Lock()
		defer s.Unlock()
		_ = s.QueueSharedLocked([]*Shared{NewShared(small), NewShared(large), NewShared(small)})
		s.FlushLocked()
	}
	ways := map[string]func(t *testing.T, s *scripted){
		"another goroutine": func(_ *testing.T, s *scripted) { all(s) },
		"corked":            func(_ *testing.T, s *scripted) { _ = s.Do(func() { all(s) }) },
		"another goroutine during an event": func(_ *testing.T, s *scripted) {
			_ = s.Do(func() {
				var others sync.WaitGroup
				for range 3 {
					others.Go(func() { all(s) })
				}
				all(s)
				others.Wait()
			})
		},
		"queue and flush": func(t *testing.T, s *scripted) { onLoop(t, s.Loop(), func() { queueAndFlush(s) }) },
		"while the socket takes no more": func(t *testing.T, s *scripted) {
			fill(t, &s.Conn)
			all(s)
			_ = s.Do(func() { all(s) })
			onLoop(t, s.Loop(), func() { queueAndFlush(s) })
		},
		"a corked write over the limit": func(t *testing.T, s *scripted) {
			s.Lock()
			s.Policy().Limit = 1000
			s.Unlock()
			_ = s.Do(func() {
				for range 50 {
					_ = s.Write(small, nil)
				}
			})
		},
		"events": func(t *testing.T, s *scripted) {
			s.Notify()
			_ = s.Do(func() { s.SetTimer(1) })
		},
		"more than a cork holds": func(_ *testing.T, s *scripted) {
			_ = s.Do(func() {
				for range 2 * corkSize / len(small) {
					_ = s.Write(nil, small)
				}
				_ = s.Write(nil, large)
			})
		},
	}
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		for name, write := range ways {
			for _, mode := range []CloseMode{CloseFlushed, CloseLinger} {
				g := start(t, Config{})
				s := newScripted()
				s.onNotify, s.onTimer = all, all
				drained := make(chan struct{}, 1)
				s.onDrain = func(s *scripted) {
					all(s)
					select {
					case drained <- struct{}{}:
					default: // it came again
					}
				}
				secure(s, asServer(server))
				tcp := s.onOpen
				s.onOpen = func(s *scripted) { tcp(s); all(s) } // during the handshake
				wire := &tap{Conn: serveOne(t, g, &WritePolicy{}, s)}
				for _, fn := range []func(){func() { all(s) }, func() { queueAndFlush(s) }} {
					onLoop(t, g.Loops()[0], fn)
				}
				peer := tls.Client(wire, client)
				got := make(chan []byte, 1)
				go func() {
					b, err := readUntilEnd(peer)
					if err != nil {
						t.Error(err)
					}
					got <- b
					_ = peer.Close()
				}()
				eventually(t, "the end of the handshake", func() bool { return s.TLS() != nil })
				write(t, s)
				s.Lock()
				s.armDrainLocked(0)
				s.Unlock()
				_ = s.Do(func() {})
				receive(t, drained)
				s.Close(mode)
				arrived := receive(t, got)
				if bytes.Contains(wire.seen, []byte(mark)) {
					t.Errorf("%s: the mark left in plain", name)
				}
				if n := bytes.Count(arrived, []byte(mark)); n < 100 || bytes.Contains(arrived, []byte("PLAIN PLAIN")) {
					t.Errorf("%s: the mark arrived %d times", name, n)
				}
				receive(t, s.closed)
				s.checkOrder(t)
			}
		}
	})
}

func readUntilEnd(peer net.Conn) (all []byte, err error) {
	_ = peer.SetDeadline(time.Now().Add(patience))
	buf := make([]byte, 64<<10)
	for {
		n, err := peer.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			if err.Error() == "EOF" {
				err = nil
			}
			return all, err
		}
	}
}

// The calls that send are made in five functions, each of which
// looks for encryption first or was let through by what does: it cannot be passed by.
func TestWhatSendsAsksForEncryption(t *testing.T) {
	callers := map[string]bool{}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "sock_") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				switch f := call.Fun.(type) {
				case *ast.Ident:
					switch f.Name {
					case "send", "send3", "sendv", "sendmsg", "writev":
						callers[fn.Name.Name] = true
					}
				case *ast.SelectorExpr:
					if strings.HasPrefix(f.Sel.Name, "Send") {
						t.Errorf("%s: %s sends by itself", name, fn.Name.Name)
					}
					if f.Sel.Name == "send" && fn.Name.Name != "sendLocked" {
						t.Errorf("%s: %s calls outbox.send", name, fn.Name.Name)
					}
				}
				return true
			})
		}
	}
	for _, fn := range []string{"sendCorkLocked", "DeliverSharedLocked", "sendLocked", "send", "sendSealedLocked"} {
		if !callers[fn] {
			t.Errorf("%s sends nothing: this test looks at the wrong names", fn)
		}
		delete(callers, fn)
	}
	for fn := range callers {
		t.Errorf("%s sends, and it is not known to look for encryption first", fn)
	}
}

// What is written in answer to data in front of a record that is refused cannot be
// sent behind the alert: it is lost, and Lost says so.
func TestWhatIsWrittenBeforeARefusedRecordIsLost(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		g := start(t, Config{})
		s := newEcho()
		was := make(chan bool, 1)
		s.onClose = func(s *scripted, _ error) { was <- s.Lost() }
		handshakeOver := secure(s, asServer(server))
		wire := &inPieces{Conn: serveOne(t, g, nil, s), cut: func(n int) int { return n }}
		peer := tls.Client(wire, client)
		roundTrip(t, peer, "first")
		receive(t, handshakeOver)
		wire.cut = func(int) int { return 0 }
		_, _ = peer.Write([]byte("second"))
		wire.cut = func(n int) int { return n }
		if _, err := wire.Write([]byte{23, 3, 3, 0, 40, 39: 0, 44: 0}); err != nil { // a record nobody sealed
			t.Fatal(err)
		}
		if err := receive(t, s.closed); err == nil {
			t.Error("OnClose said nothing")
		}
		if !receive(t, was) {
			t.Error("nothing is said to be lost")
		}
		s.checkOrder(t)
	})
}
