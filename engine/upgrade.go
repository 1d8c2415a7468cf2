package engine

import (
	"cmp"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/httpdate"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// upgrade is the opening handshake on the server's side (RFC 6455 section 4.2).
type upgrade struct {
	place   opening // where the connection that comes from a listener keeps its stage
	server  *Server
	service *service // that the request leads to; nil: not that far
	scanner handshake.Scanner
	head    []byte // received so far, if it came in pieces
	method  string // of the request, as far as it is known
	refused bool   // what follows is not looked at

	req      *Request      // that ShouldUpgrade gets; nil: not that far
	question *question     // to the pool; nil: none is open
	early    []byte        // what came behind the head meanwhile
	paused   bool          // reading is: enough came
	until    time.Duration // the deadline, once paused

	overLimit bool // the answer is 503
	held      int  // memory that the ledger has
}

var upgrades = sync.Pool{New: func() any { return new(upgrade) }}

func newUpgrade(s *Server) *upgrade {
	u := upgrades.Get().(*upgrade)
	u.server = s
	return u
}

// hold counts n as what u holds. On the loop.
func (u *upgrade) hold(ws *WebSocket, n int) {
	if n != u.held {
		ws.conn.Loop().HoldHere(loop.UseHandshakes, n-u.held)
		u.held = n
	}
}

// upgrade returns the opening handshake of ws, if it is at that stage. Loop only.
func (ws *WebSocket) upgrade() (u *upgrade, there bool) {
	if ws.opening == nil {
		return nil, false
	}
	u, there = ws.opening.stage.(*upgrade)
	return u, there
}

func (u *upgrade) release(ws *WebSocket) {
	u.hold(ws, 0)
	*u = upgrade{} // without head, which few need
	upgrades.Put(u)
}

func (u *upgrade) begin(ws *WebSocket) {
	if u.overLimit {
		u.reject(ws, handshake.Reject(http.StatusServiceUnavailable, "too many connections"))
	}
}

// data looks for the end of the head, and then decides.
func (u *upgrade) data(ws *WebSocket, b []byte) {
	if u.refused {
		return
	}
	if u.question != nil {
		u.keep(ws, b)
		return
	}
	head, rest := b, []byte(nil)
	if len(u.head) > 0 { // one octet over the limit is enough to refuse
		taken := min(len(b), ws.settings().limits.MaxHead+1-len(u.head))
		u.head = append(u.head, b[:taken]...)
		u.hold(ws, cap(u.head))
		head, rest = u.head, b[taken:]
	}
	n, err := u.scanner.Scan(head, ws.settings().limits.head())
	switch {
	case err != nil:
		u.method = handshake.Method(head)
		u.reject(ws, err)
	case n > 0:
		behind := len(head) - n + len(rest)
		u.decide(ws, head[:n], b[len(b)-behind:])
	case len(u.head) == 0:
		u.head = append(u.head, b...)
		u.hold(ws, cap(u.head))
	}
}

// arrival is a request that came to a loop, with what the parser found in it: one object, since
// every connection has one.
type arrival struct {
	req    Request
	parsed handshake.Request
}

// decide judges a whole head; rest is what came behind it.
func (u *upgrade) decide(ws *WebSocket, head, rest []byte) {
	a := new(arrival)
	parsed := &a.parsed
	if err := u.scanner.ReadRequest(head, parsed); err != nil {
		u.method = handshake.Method(head)
		u.reject(ws, err)
		return
	}
	u.method = parsed.Method()
	if !parsed.IsUpgrade() && u.server.HTTP != nil {
		u.server.handToHTTP(ws, u, parsed, head, rest)
		return
	}
	parsed.Peer = (*peer)(ws)
	req := &a.req
	req.Request, req.server = parsed, u.server
	u.req = req
	v, err := u.server.route(req)
	if err == nil {
		err = v.judge(parsed)
	}
	if err == nil {
		err = v.enter()
	}
	if err != nil {
		u.reject(ws, err)
		return
	}
	v.begin(ws)
	u.service = v
	if v.BlockingUpgrade && v.ShouldUpgrade != nil {
		u.ask(ws, req, len(head), rest)
		return
	}
	extra, err := v.decide(req)
	u.answer(ws, req, extra, err, rest)
}

// usualResponse is room for a 101 with a subprotocol and compression.
const usualResponse = 320

// answer sends 101 or the refusal.
func (u *upgrade) answer(ws *WebSocket, req *Request, extra http.Header, err error, rest []byte) {
	u.hold(ws, 0) // rest is about to be looked at
	if err != nil {
		u.reject(ws, err)
		return
	}
	if err := ws.choose(req); err != nil {
		u.reject(ws, err)
		return
	}
	subprotocol := req.Subprotocol
	if subprotocol == "" {
		subprotocol = handshake.SelectSubprotocol(req.Request, u.service.Subprotocols)
	}
	extensions := ""
	if !req.NoCompression {
		extensions = ws.settings().compressor.answer(ws, req.Request)
	}
	var buf [usualResponse]byte
	response, err := handshake.AppendResponse(buf[:0], req.Request, subprotocol, extensions, extra)
	if err != nil {
		u.reject(ws, err)
		return
	}
	if ws.conn.Write(response, nil) != nil {
		return // closed meanwhile; OnClose follows
	}
	v := u.service
	ws.open(subprotocol, func() {
		defer req.life.end(errHandshakeOver)
		v.callUpgrade(ws, req)
	})
	ws.receive(rest)
	u.release(ws)
}

// reject answers with an HTTP error and closes once the peer has read it.
func (u *upgrade) reject(ws *WebSocket, err error) {
	u.dropQuestion()
	u.endContext(err)
	u.refused = true
	u.server.refusals.add(ws.settings().log, err, (*peer)(ws))
	_ = ws.conn.Write(handshake.AppendRejection(nil, err, u.method, httpdate.Now()), nil) // closed meanwhile: no answer is needed
	ws.conn.Close(loop.CloseLinger)
	ws.arm(deadlineHandshake, ws.settings().limits.CloseTimeout)
}

func (u *upgrade) timeout(ws *WebSocket) {
	if u.refused { // and the peer does not go
		ws.conn.Close(loop.CloseNow)
		return
	}
	if u.lookAgain(ws) {
		_ = ws.peerLeft() // closes it if so
		return
	}
	if u.question == nil && ws.conn.Unread() { // a loop that was held up has not read it yet
		ws.arm(deadlineHandshake, time.Millisecond)
		return
	}
	if u.method == "" {
		u.method = handshake.Method(u.head)
	}
	u.reject(ws, errTooLate)
}

func (u *upgrade) lost(ws *WebSocket, err error) {
	u.dropQuestion()
	u.endContext(cmp.Or(err, ErrAbnormalClosure))
	if u.overLimit {
		u.server.conns.Refusal()
	}
	u.release(ws)
}

// endContext ends the context of the request, if there is one yet.
func (u *upgrade) endContext(cause error) {
	if u.req != nil {
		u.req.life.end(cause)
	}
}

// errTooLate refuses a request whose handshake has taken Limits.HandshakeTimeout.
var errTooLate = &handshake.Rejection{
	Status: http.StatusRequestTimeout,
	Reason: "the opening handshake took too long",
	Cause:  ErrHandshakeTimeout,
}

// errShuttingDown refuses a request that comes, or is decided on, too late.
var errShuttingDown = &handshake.Rejection{
	Status: http.StatusServiceUnavailable,
	Reason: "server is shutting down",
	Cause:  ErrServerClosed,
}

// errHandshakeOver ends the context of a request that became a WebSocket.
var errHandshakeOver = errors.New("engine: the opening handshake is over; use the context of the WebSocket")
