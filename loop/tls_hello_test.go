package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// fragmented cuts the handshake message in records into others, which hold size
// bytes of it each.
func fragmented(whole []byte, size int) (records []byte) {
	var message []byte
	for rest := whole; len(rest) > 0; rest = rest[recordSize(rest):] {
		message = append(message, rest[recordHeader:recordSize(rest)]...)
	}
	for len(message) > 0 {
		n := min(size, len(message))
		records = append(records, whole[0], whole[1], whole[2], byte(n>>8), byte(n))
		records = append(records, message[:n]...)
		message = message[n:]
	}
	return records
}

// readsHello is a client's net.Conn that replaces the ClientHello.
type readsHello struct {
	net.Conn
	replace func(hello []byte) []byte
}

func (r *readsHello) Write(b []byte) (int, error) {
	sent := b
	if r.replace != nil {
		sent, r.replace = r.replace(b), nil
	}
	if _, err := r.Conn.Write(sent); err != nil {
		return 0, err
	}
	return len(b), nil
}

// F-b, U02: who sends a part of a ClientHello takes no place, wherever it stops.
func TestAPartOfAClientHelloTakesNoPlace(t *testing.T) {
	const limit = 2
	server, client := tlsConfigs(tls.VersionTLS13)
	whole := captureHello(t, client)
	halves := map[string][]byte{
		"one byte":           whole[:1],
		"a record's header":  whole[:recordHeader],
		"all but one byte":   whole[:len(whole)-1],
		"all but one record": fragmented(whole, 100)[:(recordHeader+100)*(len(whole)/100)],
	}
	for name, half := range halves {
		t.Run(name, func(t *testing.T) {
			g := start(t, Config{MaxHandshakes: limit})
			var halfway []*scripted
			for range 5 * limit {
				s := newEcho()
				secure(s, asServer(server))
				if _, err := serveOne(t, g, nil, s).Write(half); err != nil {
					t.Fatal(err)
				}
				halfway = append(halfway, s)
			}
			eventually(t, "all are read", func() bool {
				return g.Loops()[0].Counters().BytesIn == uint64(len(halfway)*len(half))
			})
			for range 3 * limit {
				s := newEcho()
				roundTrip(t, serveTLS(t, g, nil, s, server, client), "served")
				s.Close(CloseNow)
				receive(t, s.closed)
			}
			eventually(t, "no place is taken", func() bool { return placesTaken(g) == 0 })
			for _, s := range halfway {
				select {
				case err := <-s.closed:
					t.Fatalf("one that stopped was closed: %v", err)
				default:
				}
				s.Close(CloseNow)
				receive(t, s.closed)
			}
		})
	}
}

// A ClientHello is one however it is cut into records.
func TestAClientHelloInManyRecordsIsServed(t *testing.T) {
	eachTLS(t, func(t *testing.T, server, client *tls.Config) {
		client.NextProtos = []string{strings.Repeat("x", 200), "here"}
		server.NextProtos = []string{"here"}
		for _, size := range []int{1, 2, 3, 4, 5, 100} {
			g := start(t, Config{})
			s := newEcho()
			secure(s, asServer(server))
			nc := &readsHello{Conn: serveOne(t, g, nil, s), replace: func(hello []byte) []byte { return fragmented(hello, size) }}
			roundTrip(t, tls.Client(nc, client), "served")
			s.Close(CloseNow)
			receive(t, s.closed)
		}
	})
}

// What cannot become a ClientHello is refused at once, as crypto/tls would.
func TestWhatIsNoClientHelloIsRefusedAtOnce(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	isHeader := func(err error) bool { var bad tls.RecordHeaderError; return errors.As(err, &bad) }
	says := func(what string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), what) }
	}
	hello := captureHello(t, client)
	cases := []struct {
		name string
		sent []byte
		want func(error) bool
	}{
		{"one letter", []byte("G"), isHeader},
		{"SSLv2", []byte{0x80}, isHeader},
		{"application data", []byte{23, 3, 1, 0, 100}, isHeader},
		{"a version there is not", []byte{22, 0x30, 0, 0, 100}, isHeader},
		{"a record that is too long", []byte{22, 3, 1, 0xff, 0xff}, isHeader},
		{"an alert between fragments", append(fragmented(hello, 100)[:105], 21), isHeader},
		{"an empty record", []byte{22, 3, 1, 0, 0}, says("unexpected message")},
		{"a message that is too long", []byte{22, 3, 1, 0, 4, 1, 1, 0, 1}, says("exceeds maximum")},
		{"another message", []byte{22, 3, 1, 0, 4, 14, 0, 0, 0}, says("unexpected handshake message")},
	}
	g := start(t, Config{})
	for _, c := range cases {
		s := newScripted()
		secure(s, asServer(server))
		nc := serveOne(t, g, nil, s)
		if _, err := nc.Write(c.sent); err != nil {
			t.Fatal(err)
		}
		err := receive(t, s.closed)
		if err == nil || !c.want(err) || !strings.HasPrefix(err.Error(), "loop: TLS handshake: ") {
			t.Errorf("%s: OnClose said %v", c.name, err)
		}
		_ = nc.Close()
		s.checkOrder(t)
	}
	eventually(t, "no place is taken", func() bool { return placesTaken(g) == 0 })
}

// A ClientHello of the largest size crypto/tls takes is served, one that needs
// more than a handshake may send is refused.
func TestAClientHelloIsBounded(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	for len(client.NextProtos) < 240 {
		client.NextProtos = append(client.NextProtos, strings.Repeat("x", 250))
	}
	client.NextProtos = append(client.NextProtos, "here")
	server.NextProtos = []string{"here"}
	hello := captureHello(t, client)
	if len(hello) < 60<<10 {
		t.Fatalf("the ClientHello has %d bytes only", len(hello))
	}
	g := start(t, Config{})
	s := newEcho()
	roundTrip(t, serveTLS(t, g, nil, s, server, client), "served")
	s.Close(CloseNow)
	receive(t, s.closed)

	s = newScripted()
	secure(s, asServer(server))
	nc := serveOne(t, g, nil, s)
	go func() { _, _ = nc.Write(fragmented(hello, 1)) }()
	if err := receive(t, s.closed); !errors.Is(err, errHandshakeTooLarge) {
		t.Errorf("OnClose said %v", err)
	}
}

// Who has left does not wait for a place.
func TestTheEndOfAPeerIsSeenBeforeItsHandshakeHasAPlace(t *testing.T) {
	server, client := tlsConfigs(tls.VersionTLS13)
	hello := captureHello(t, client)
	g := start(t, Config{MaxHandshakes: 1})
	g.places.longWait = time.Hour
	holder := newScripted()
	secure(holder, asServer(server))
	if _, err := serveOne(t, g, nil, holder).Write(hello); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the place is taken", func() bool { return placesTaken(g) == 1 })
	for _, sent := range [][]byte{hello[:20], hello} {
		s := newScripted()
		secure(s, asServer(server))
		nc := serveOne(t, g, nil, s)
		if _, err := nc.Write(sent); err != nil {
			t.Fatal(err)
		}
		_ = nc.CloseWrite()
		if err := receive(t, s.closed); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("OnClose said %v", err)
		}
		s.checkOrder(t)
	}
	if n := handshakesWaiting(g); n != 0 {
		t.Errorf("%d wait that have left", n)
	}
	holder.Close(CloseNow)
	receive(t, holder.closed)
}
