package engine

import (
	"net/http"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// ask gives ShouldUpgrade to the pool. The loop reads on, to notice that the client has
// left.
func (u *upgrade) ask(ws *WebSocket, req *Request, headSize int, rest []byte) {
	v := u.service // if the connection ends meanwhile, u becomes another's
	q := &question{from: shareOf(ws.RemoteAddr()), left: ws.peerLeft}
	answered := func(extra http.Header, err error) {
		_ = ws.conn.Do(func() { // closed meanwhile: no answer is needed
			if now, there := ws.upgrade(); !there || now != u || u.question != q {
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
		}, func(err error) { answered(extra, err) })
	}
	q.refuse = func(err error) { answered(nil, err) }
	u.question = q
	u.hold(ws, u.held+headSize+questionSize)
	u.keep(ws, rest)
	v.server.upgrades.add(q)
}

// decide calls ShouldUpgrade. Its answer counts if the context of req has not ended.
func (v *service) decide(req *Request) (http.Header, error) {
	extra, err := v.callShouldUpgrade(req)
	if late := req.late(); late != nil {
		return nil, late
	}
	return extra, err
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

// maxEarly is how many bytes behind a request that waits are enough to pause reading.
const maxEarly = 4 << 10

// questionSize is about what a question takes, with a request, besides what its head
// says.
const questionSize = 1 << 10

// lookAgain sets the timer before the deadline, to check whether the peer has left while
// reading is paused. It reports whether there is time for that.
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

// peerLeft reports whether the peer has left while reading was paused, and closes the
// connection then. Any goroutine.
func (ws *WebSocket) peerLeft() bool {
	if !ws.conn.PeerGone() {
		return false
	}
	ws.conn.Close(loop.CloseNow)
	return true
}

// dropQuestion takes the question out of the pool.
func (u *upgrade) dropQuestion() {
	if u.question != nil {
		u.server.upgrades.remove(u.question)
		u.question = nil
	}
}
