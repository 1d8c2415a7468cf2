package engine

import (
	"cmp"
	"crypto/tls"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
	"github.com/fanloop-go/fanloop/engine/internal/httpdate"
	"github.com/fanloop-go/fanloop/engine/internal/outlet"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// upgrade is the opening handshake on the server's side (RFC 6455 section 4.2).
type upgrade struct {
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

	overLimit bool // told so
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

// data looks for the end of the head and decides.
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

// decide judges a whole head; rest is what came behind it.
func (u *upgrade) decide(ws *WebSocket, head, rest []byte) {
	parsed, err := handshake.ParseRequest(head)
	if err != nil {
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
	req := &Request{Request: parsed, server: u.server}
	u.req = req
	v, err := u.server.route(req)
	if err == nil {
		err = v.judge(parsed)
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

// decide calls ShouldUpgrade. Its answer counts if the context of req has not ended.
func (v *service) decide(req *Request) (http.Header, error) {
	extra, err := v.callShouldUpgrade(req)
	if late := req.late(); late != nil {
		return nil, late
	}
	return extra, err
}

// ask gives ShouldUpgrade to the pool. Reading goes on, or nobody would notice that
// the client has gone.
func (u *upgrade) ask(ws *WebSocket, req *Request, headSize int, rest []byte) {
	v := u.service // if the connection ends meanwhile, u becomes another's
	q := &question{from: shareOf(ws.RemoteAddr()), gone: ws.left}
	settle := func(extra http.Header, err error) {
		_ = ws.conn.Do(func() { // gone meanwhile: nobody waits for the answer
			if ws.opening != u || u.question != q {
				return
			}
			u.question = nil
			if u.paused {
				ws.conn.ResumeRead()
			}
			u.answer(ws, req, extra, err, u.early)
		})
	}
	q.ask = func() {
		var extra http.Header
		v.settings.guard(panicRefuses, func() error {
			return v.server.upgradeCalls.run(func() (err error) {
				extra, err = v.decide(req)
				return err
			})
		}, func(err error) { settle(extra, err) })
	}
	q.refuse = func(err error) { settle(nil, err) }
	u.question = q
	u.hold(ws, u.held+headSize+questionSize)
	u.keep(ws, rest)
	v.server.upgrades.add(q)
}

// keep keeps what comes behind a request that waits. A client may send its first
// messages with it; one that sends much is read no further.
func (u *upgrade) keep(ws *WebSocket, b []byte) {
	before := cap(u.early)
	u.early = append(u.early, b...)
	u.hold(ws, u.held+cap(u.early)-before)
	if len(u.early) >= maxEarly && !u.paused {
		u.paused = true
		u.until = ws.conn.Loop().Now() + ws.conn.TimerLeft()
		ws.conn.PauseRead()
		u.lookAgain(ws)
	}
}

// lookAgain lets the timer come sooner than the deadline, to see whether the peer has
// left while reading is paused. It says whether there is time for that.
func (u *upgrade) lookAgain(ws *WebSocket) bool {
	left := u.until - ws.conn.Loop().Now()
	if u.question == nil || !u.paused || left <= 0 {
		return false
	}
	ws.arm(deadlineHandshake, min(left, lookEvery))
	return true
}

// lookEvery is how often the socket of a request that waits is looked at while reading
// is paused.
const lookEvery = time.Second

// maxEarly is how many bytes behind a request that waits are enough to pause reading.
const maxEarly = 4 << 10

// questionSize is about what a question takes, with a request, besides what its head
// says.
const questionSize = 1 << 10

// left says whether the peer has gone while reading was paused, of which nobody has
// heard yet. Any goroutine.
func (ws *WebSocket) left() bool {
	if !ws.conn.PeerGone() {
		return false
	}
	ws.conn.Close(loop.CloseNow)
	return true
}

// dropQuestion takes back what was asked.
func (u *upgrade) dropQuestion() {
	if u.question != nil {
		u.server.upgrades.remove(u.question)
		u.question = nil
	}
}

// answer sends 101 or the refusal.
func (u *upgrade) answer(ws *WebSocket, req *Request, extra http.Header, err error, rest []byte) {
	u.hold(ws, 0) // rest is about to be looked at
	if err != nil {
		u.reject(ws, err)
		return
	}
	buf := frames.BorrowScratch()
	defer frames.ReturnScratch(buf)
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
	response, err := handshake.AppendResponse((*buf)[:0], req.Request, subprotocol, extensions, extra)
	*buf = response[:0]
	if err != nil {
		u.reject(ws, err)
		return
	}
	if ws.conn.Write(response, nil) != nil {
		return // gone; OnClose follows
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
	_ = ws.conn.Write(handshake.AppendRejection(nil, err, u.method, httpdate.Now()), nil) // gone: nobody to tell
	ws.conn.Close(loop.CloseLinger)
	ws.arm(deadlineHandshake, ws.settings().limits.CloseTimeout)
}

func (u *upgrade) timeout(ws *WebSocket) {
	if u.refused { // and the peer does not go
		ws.conn.Close(loop.CloseNow)
		return
	}
	if u.lookAgain(ws) {
		_ = ws.left() // closes it if so
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

// open makes ws an open connection: after the answer is queued, before the
// first frame is looked at.
func (ws *WebSocket) open(subprotocol string, onUpgrade func()) {
	ws.opening = nil
	ws.heard = ws.conn.Loop().Now()
	ws.messaged = ws.heard
	ws.control = controlMeter(ws.heard) // nothing is saved up
	if ws.callbacks.OnFragment != nil {
		ws.reader.SetStreaming(true)
	}
	if subprotocol != "" {
		ws.conn.Lock()
		ws.extrasLocked().subprotocol = subprotocol
		ws.conn.Unlock()
	}
	ws.become(outlet.Open)
	onUpgrade()
}

// peer is a WebSocket as its request sees it.
type peer WebSocket

// String gives the address at the moment it is asked for.
func (p *peer) String() string {
	addr := (*WebSocket)(p).RemoteAddr()
	if addr == nil {
		return ""
	}
	return addr.String()
}

// TLS is for Request.TLS.
func (p *peer) TLS() *tls.ConnectionState { return p.conn.TLS() }
