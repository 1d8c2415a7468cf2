package service

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

// streams are the connections that came by Server-Sent Events. Each is a WebSocket to
// this server itself, over a unix socket that nobody else may open, so a stream has the
// sessions, limits and deliveries of every other connection. The address of the client
// goes along in a PROXY header. The goroutine of the request carries frames.
type streams struct {
	service *Service
	dir     string             // has the socket
	heard   *nats.Subscription // of POSTs that came to other nodes; nil: not yet

	mu  sync.Mutex
	all map[string]*stream // guarded by mu; by the session's name in this connection
}

type stream struct {
	ws *pull.Conn

	mu   sync.Mutex
	last uint64 // guarded by mu: number of the last POST that was taken
}

// openStreams listens for streams.
func (s *Service) openStreams() (*streams, error) {
	dir, err := os.MkdirTemp("", "fanloop-chat-") // for this user alone
	if err != nil {
		return nil, err
	}
	streams := &streams{service: s, dir: dir, all: make(map[string]*stream)}
	_, err = s.server.ListenWith("unix:"+streams.socket(), engine.ListenOptions{
		ProxyProtocol: &engine.ProxyProtocol{TrustUnix: true}, SocketMode: 0o600,
	})
	if err != nil {
		streams.close()
		return nil, err
	}
	if err := streams.listen(); err != nil {
		streams.close()
		return nil, err
	}
	return streams, nil
}

func (s *streams) socket() string { return filepath.Join(s.dir, "streams") }

func (s *streams) close() {
	if s.heard != nil {
		_ = s.heard.Unsubscribe() // the connection is lost otherwise
	}
	_ = os.RemoveAll(s.dir) // a temporary folder
}

// open serves POST /v1/stream.
func (s *streams) open(w http.ResponseWriter, r *http.Request) {
	if !s.admits(w, r) {
		return
	}
	body, ok := s.body(w, r)
	if !ok {
		return
	}
	if len(bytes.TrimSpace(body)) == 0 { // a stream without connect could never have one
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	body = s.resuming(body, r.Header.Get("Last-Event-ID"))
	ws, err := s.dial(r)
	if err != nil {
		s.refuse(w, err)
		return
	}
	defer ws.CloseNow()
	_ = ws.Write(r.Context(), engine.Text, body) // why it was not taken is read
	message, err := readOrBeat(r.Context(), ws)
	if endedAtOnce(w, message, err) {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of nginx
	s.carry(w, r, ws, message)
}

// carry writes what comes as events, from the first message on, until the end.
func (s *streams) carry(w http.ResponseWriter, r *http.Request, ws *pull.Conn, message []byte) {
	one := &stream{ws: ws}
	session := ""
	defer func() { s.forget(session, one) }()
	var event []byte
	for {
		event = event[:0]
		switch {
		case message == nil:
			event = append(event, protocol.Beat...)
		case session == "": // an error may come first
			session = sessionOf(message)
			s.remember(session, one)
			event = protocol.AppendEvent(event, session, delay(), message)
		default:
			event = protocol.AppendEvent(event, "", 0, message)
		}
		if _, err := w.Write(event); err != nil || http.NewResponseController(w).Flush() != nil {
			return
		}
		var err error
		if message, err = readOrBeat(r.Context(), ws); err != nil {
			return
		}
	}
}

// resuming is a first message whose connect brings the session of an event id, unless it
// brings one itself. An id that is none is a session that nobody knows.
func (s *streams) resuming(body []byte, id string) []byte {
	first, rest, _ := bytes.Cut(body, []byte("\n"))
	if id == "" {
		return body
	}
	if nodeOf(id) == "" {
		id = "s.unknown"
	}
	for c, err := range protocol.Commands(protocol.JSON, s.service.session.Limits, first) {
		connect, is := c.(*protocol.Connect)
		if err != nil || !is || connect.Session != "" {
			break
		}
		connect.Session = id
		if with, err := protocol.JSON.AppendCommand(nil, connect); err == nil {
			return append(append(with, '\n'), rest...)
		}
		break
	}
	return body
}

// readOrBeat is the next message, or nil when there was none for a while.
func readOrBeat(ctx context.Context, ws *pull.Conn) ([]byte, error) {
	wait, cancel := context.WithTimeout(ctx, pingEvery)
	defer cancel()
	_, message, err := ws.Read(wait)
	if err != nil && wait.Err() != nil && ctx.Err() == nil && ws.Context().Err() == nil {
		return nil, nil
	}
	return message, err
}

// sessionOf is the session of the frame connected; empty: the answer is another.
func sessionOf(message []byte) string {
	for f, err := range protocol.Frames(protocol.JSON, message) {
		if c, is := f.(*protocol.Connected); is && err == nil {
			return c.Session
		}
	}
	return ""
}

func (s *streams) remember(session string, one *stream) {
	if session == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[session] = one
}

func (s *streams) forget(session string, one *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all[session] == one {
		delete(s.all, session)
	}
}

// count is the number of streams.
func (s *streams) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.all)
}

// dial connects to this server as the client of r.
func (s *streams) dial(r *http.Request) (*pull.Conn, error) {
	header := http.Header{}
	for _, name := range proxies.Names {
		for _, value := range r.Header.Values(name) {
			header.Add(name, value)
		}
	}
	return pull.Dial(r.Context(), "ws://"+r.Host+"/v1/socket", &engine.DialOptions{
		Header: header, Origin: r.Header.Get("Origin"), Limits: engine.Limits{MaxMessage: engine.NoLimit},
		Logger: s.service.log,
		NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, "unix", s.socket())
			if err == nil {
				local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
				_, err = io.WriteString(conn, proxyLine(r.RemoteAddr, local))
			}
			return conn, err
		},
	})
}

// proxyLine is a PROXY header, version 1.
func proxyLine(from string, to net.Addr) string {
	a, err := netip.ParseAddrPort(from)
	tcp, ok := to.(*net.TCPAddr)
	if err != nil || !ok {
		return "PROXY UNKNOWN\r\n"
	}
	b := tcp.AddrPort()
	family, source, target := "TCP4", a.Addr().Unmap(), b.Addr().Unmap()
	if source.Is6() || target.Is6() {
		family, source, target = "TCP6", netip.AddrFrom16(source.As16()), netip.AddrFrom16(target.As16())
	}
	return "PROXY " + family + " " + source.String() + " " + target.String() + " " +
		strconv.Itoa(int(a.Port())) + " " + strconv.Itoa(int(b.Port())) + "\r\n"
}

// endedAtOnce reports whether a stream ended before its first event, and answers what its
// WebSocket was told. An end for good is not answered: closing says it as an event.
func endedAtOnce(w http.ResponseWriter, first []byte, err error) bool {
	var last *protocol.Closing
	for f, bad := range protocol.Frames(protocol.JSON, first) {
		if closing, is := f.(*protocol.Closing); is && bad == nil {
			last = closing
		}
		break
	}
	var closed *engine.CloseError
	switch {
	case last != nil && last.Retry == protocol.Later:
		wait := time.Duration(last.Delay) * time.Millisecond
		if last.Code == protocol.RateLimited {
			refuseUntil(w, wait)
		} else {
			retry(w, wait)
		}
	case errors.As(err, &closed) && closed.Code == engine.StatusCode(protocol.RateLimited.Close()):
		refuseUntil(w, 0)
	case err != nil:
		retry(w, 0)
	default:
		return false
	}
	return true
}

// refuse answers as the server answered the stream's WebSocket.
func (s *streams) refuse(w http.ResponseWriter, err error) {
	var status *engine.StatusError
	if errors.As(err, &status) && status.Status == http.StatusForbidden {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	retry(w, 0)
}

// retry answers that nothing was taken.
func retry(w http.ResponseWriter, wait time.Duration) {
	retryAfter(w, wait)
	w.WriteHeader(http.StatusServiceUnavailable)
}

// command serves POST /v1/commands.
func (s *streams) command(w http.ResponseWriter, r *http.Request) {
	if !s.admits(w, r) {
		return
	}
	body, ok := s.body(w, r)
	if !ok {
		return
	}
	session, seq := r.Header.Get(headerSession), r.Header.Get(headerSeq)
	var status int
	if node := nodeOf(session); node != "" && node != s.service.registry.node {
		status = s.forward(r.Context(), node, session, seq, body)
	} else {
		status = s.take(session, seq, body)
	}
	if status == http.StatusServiceUnavailable {
		retry(w, 0)
		return
	}
	w.WriteHeader(status)
}

// take carries out a POST of a session of this node, and returns the status of the answer.
func (s *streams) take(session, seq string, body []byte) int {
	s.mu.Lock()
	one := s.all[session]
	s.mu.Unlock()
	number, ok := parseSeq(seq)
	switch {
	case !ok:
		return http.StatusBadRequest
	case one == nil:
		return http.StatusNotFound
	}
	return one.take(number, body)
}

// parseSeq reads the number of a POST, from 1 on. Each has one way to be written.
func parseSeq(text string) (number uint64, ok bool) {
	number, err := strconv.ParseUint(text, 10, 64)
	return number, err == nil && number > 0 && strconv.FormatUint(number, 10) == text
}

// take carries out a POST once, and returns the status of its answer. Who sends more
// than the session reads comes back with it.
func (o *stream) take(number uint64, body []byte) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case number <= o.last:
		return http.StatusNoContent
	case number > o.last+1:
		return http.StatusConflict
	}
	ctx, cancel := context.WithTimeout(o.ws.Context(), time.Second)
	defer cancel()
	err := o.ws.Write(ctx, engine.Text, body)
	switch {
	case err != nil && o.ws.Context().Err() != nil:
		return http.StatusNotFound
	case err != nil:
		return http.StatusServiceUnavailable
	}
	o.last = number
	return http.StatusNoContent
}

// body reads what was posted, or answers why not.
func (s *streams) body(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		w.WriteHeader(http.StatusUnsupportedMediaType)
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(s.service.session.Limits.Message)))
	over := s.charge(r, 0, len(body))
	var large *http.MaxBytesError
	switch {
	case over != nil:
		refuseFor(w, over)
		return nil, false
	case errors.As(err, &large):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	}
	return body, err == nil
}
