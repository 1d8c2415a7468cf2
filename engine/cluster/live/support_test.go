package live_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/clustertest"
	"github.com/fanloop-go/fanloop/engine/cluster/live"
)

const patience = 2 * time.Minute

// frame is what the tests' encoder makes of everything.
type frame struct {
	Topic    string
	Live     bool `json:",omitempty"`
	First    bool `json:",omitempty"`
	Reset    bool `json:",omitempty"`
	At       cluster.Position
	Messages []message `json:",omitempty"`
}

type message struct {
	At   cluster.Position
	Data string
}

// encoder encodes frames as JSON.
type encoder struct{}

func (encoder) Message(m *cluster.Message) engine.Message {
	return encode(frame{Topic: m.Topic, Live: true, At: m.Position(), Messages: []message{{m.Position(), string(m.Data)}}})
}

func (encoder) Page(p *live.Page) engine.Message {
	f := frame{Topic: p.Topic, First: p.First, Reset: p.Reset, At: p.Position}
	for _, m := range p.Messages {
		f.Messages = append(f.Messages, message{m.Position(), string(m.Data)})
	}
	return encode(f)
}

func encode(f frame) engine.Message {
	text, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return engine.TextMessage(text)
}

// command is what clients send.
type command struct {
	Topic string
	From  cluster.Position
	Leave bool
}

// site is one node with its server.
type site struct {
	t      testing.TB
	conn   *clustertest.Conn // nil: another broker
	node   *cluster.Node
	server *engine.Server
	topics *live.Topics
	addr   string
	opened chan *engine.WebSocket
	ended  chan error
	next   atomic.Int32 // number of a message
}

// options are those of a site.
type options struct {
	cluster    cluster.Config
	live       live.Config
	limits     engine.Limits
	sendBuffer int
	batching   *engine.Batching

	maySubscribe func(*engine.WebSocket, string) error
	prepare      func(*site) // before the server starts
}

// openSite starts a node of a broker, with a server, which end with the test.
func openSite(t testing.TB, broker cluster.Broker, o options) *site {
	t.Helper()
	s := &site{t: t, opened: make(chan *engine.WebSocket, 20_000), ended: make(chan error, 20_000)}
	s.conn, _ = broker.(*clustertest.Conn)
	s.node = cluster.NewNode(broker, o.cluster)
	s.server = &engine.Server{Loops: 2, Limits: o.limits, MaySubscribe: o.maySubscribe, Batching: o.batching}
	if o.live.Encoder == nil {
		o.live.Encoder = encoder{}
	}
	ended := o.live.Ended
	o.live.Ended = func(ws *engine.WebSocket, topic string, err error) {
		if ended != nil {
			ended(ws, topic, err)
		}
		s.ended <- err
	}
	s.topics = live.New(s.node, s.server, o.live)
	if o.prepare != nil {
		o.prepare(s)
	}
	s.server.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { s.opened <- ws }
	s.server.Callbacks = s.topics.Callbacks(engine.Callbacks{OnText: s.obey})
	lc := net.ListenConfig{Control: sockopt(syscall.SO_SNDBUF, o.sendBuffer)}
	ln, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	go func() { _ = s.server.Serve(ln) }()
	t.Cleanup(s.close)
	return s
}

func (s *site) close() {
	s.topics.Close()
	_ = s.server.Close()
	s.node.Close()
}

// obey does what a client asks for.
func (s *site) obey(ws *engine.WebSocket, text []byte) {
	var c command
	if err := json.Unmarshal(text, &c); err != nil {
		s.t.Errorf("%q: %v", text, err)
		return
	}
	if c.Leave {
		s.topics.Unsubscribe(ws, c.Topic)
		_ = ws.Send(engine.Text, []byte(`{"Topic":"left"}`))
		return
	}
	if err := s.topics.Subscribe(ws, c.Topic, c.From); err != nil && !errors.Is(err, live.ErrClosed) && !errors.Is(err, engine.ErrClosed) {
		s.t.Errorf("Subscribe: %v", err)
	}
}

// sockopt is a Control function that sets an option of SOL_SOCKET; 0: it does not.
func sockopt(option, value int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, raw syscall.RawConn) (err error) {
		if value == 0 {
			return nil
		}
		cerr := raw.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, option, value) })
		return errors.Join(err, cerr)
	}
}

// peer is a client that reads when the test says so.
type peer struct {
	nc net.Conn
	r  *bufio.Reader
}

// dial connects with a small receive buffer: a peer that does not read blocks its
// server soon.
func dial(addr string) (*peer, error) {
	d := net.Dialer{Control: sockopt(syscall.SO_RCVBUF, 4096), Timeout: patience}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(nc, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", addr)
	p := &peer{nc, bufio.NewReaderSize(nc, 512)}
	if err == nil {
		var answer *http.Response
		if answer, err = http.ReadResponse(p.r, nil); err == nil && answer.StatusCode != http.StatusSwitchingProtocols {
			err = errors.New(answer.Status)
		}
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return p, nil
}

func (s *site) dial() *peer {
	s.t.Helper()
	p, err := dial(s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.close)
	return p
}

func (p *peer) close() { _ = p.nc.Close() }

func (p *peer) ask(c command) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	_, err = p.nc.Write(codec.AppendMaskedFrame(nil, codec.Text, true, text))
	return err
}

// errClosing is returned for a close frame.
var errClosing = errors.New("closed by the server")

// read returns the next frame.
func (p *peer) read() (f frame, err error) {
	text, err := p.readText()
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	return f, err
}

// readText returns the next text message.
func (p *peer) readText() ([]byte, error) {
	for {
		var head [10]byte
		if _, err := io.ReadFull(p.r, head[:2]); err != nil {
			return nil, err
		}
		more := map[byte]int{126: 2, 127: 8}[head[1]]
		if _, err := io.ReadFull(p.r, head[2:2+more]); err != nil {
			return nil, err
		}
		h, _, err := codec.ParseHeader(head[:2+more])
		if err != nil {
			return nil, err
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(p.r, payload); err != nil {
			return nil, err
		}
		switch h.OpCode {
		case codec.Close:
			return nil, fmt.Errorf("%w: %q", errClosing, payload)
		case codec.Text:
			return payload, nil
		}
	}
}

// must is read within patience.
func (s *site) must(p *peer) frame {
	s.t.Helper()
	_ = p.nc.SetReadDeadline(time.Now().Add(patience))
	f, err := p.read()
	if err != nil {
		s.t.Fatalf("read: %v", err)
	}
	return f
}

// join subscribes and returns the first page.
func (s *site) join(p *peer, topic string, from cluster.Position) frame {
	s.t.Helper()
	if err := p.ask(command{Topic: topic, From: from}); err != nil {
		s.t.Fatal(err)
	}
	f := s.must(p)
	if !f.First || f.Live || f.Topic != topic {
		s.t.Fatalf("the first frame is %+v", f)
	}
	return f
}

// wants reads until the messages have these data, in order and nothing else.
func (s *site) wants(p *peer, have []message, want ...string) (last frame) {
	s.t.Helper()
	for {
		var got []string
		for _, m := range have {
			got = append(got, m.Data)
		}
		if len(got) >= len(want) || !strings.HasPrefix(strings.Join(want, " "), strings.Join(got, " ")) {
			if fmt.Sprint(got) != fmt.Sprint(want) {
				s.t.Fatalf("got %v, want %v", got, want)
			}
			return last
		}
		last = s.must(p)
		if last.Reset || last.First {
			s.t.Fatalf("after %v: %+v", got, last)
		}
		have = append(have, last.Messages...)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, met func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !met(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// put stores messages with these data, which are their ids too.
func put(t testing.TB, b cluster.Broker, topic string, data ...string) (at cluster.Position) {
	t.Helper()
	for _, text := range data {
		ack, err := b.Publish(t.Context(), topic, text, []byte(text))
		if err != nil {
			t.Fatalf("Publish: %v", err)
		}
		at = ack.Position
	}
	return at
}

// numbers returns m<first> to m<last>.
func numbers(first, last int) (all []string) {
	for i := first; i <= last; i++ {
		all = append(all, fmt.Sprint("m", i))
	}
	return all
}
