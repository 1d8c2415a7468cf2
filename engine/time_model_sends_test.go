//go:build linux

package engine_test

import (
	"crypto/tls"
	"net"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// begin decides what p does in this moment. reading says that it may read at all.
func (p *timePeer) begin() {
	if p.rng.IntN(30) == 0 {
		p.habit = randomHabit(p.rng)
		p.s.logf("habit %v", p.habit)
	}
	switch ends := p.rng.IntN(400); {
	case p.left || p.broken != nil:
		return
	case p.sentClose && !p.saidClose(): // behind the frame under way
		p.goOn()
	case p.over(): // it has said all
	case ends == 0:
		p.halfClose()
	case ends <= 2 && p.upload == nil:
		p.sayClose(engine.StatusCode(3000 + p.rng.IntN(1000)))
	case ends == 3:
		p.reset()
		return
	default:
		p.write()
	}
	p.socket.may = [...]int{readsAll: 1 << 30, readsSlowly: 8<<10 + p.rng.IntN(56<<10), readsAByte: 1, readsNothing: 0}[p.habit.reads]
}

// over says whether p sends no more.
func (p *timePeer) over() bool { return p.sentClose || p.sentEnd || p.left || p.broken != nil }

// saidClose says whether the close frame of p was written: it waits for the end of a
// frame under way.
func (p *timePeer) saidClose() bool { return p.sentClose && len(p.frames) == 0 }

// write begins what the habit says, and goes on with a letter under way.
func (p *timePeer) write() {
	if p.upload == nil {
		switch p.habit.sends {
		case sendsLetters:
			for range p.rng.IntN(3) {
				p.letter(p.rng.IntN(3000), 1<<20)
			}
		case sendsSlowly:
			p.letter(64<<10+p.rng.IntN(200<<10), 2<<10+p.rng.IntN(30<<10))
			return
		case sendsAByte:
			p.letter(2<<10+p.rng.IntN(60<<10), 1)
			return
		}
	}
	switch p.habit.sends {
	case sendsPings:
		p.pings(min(20, p.room()/2))
	case sendsAFlood:
		if most := p.s.w.limits.MaxControlRate; most > 0 && most <= 50 {
			p.pings(62*most + 100)
		}
	}
	p.goOn()
}

func (p *timePeer) pings(n int) {
	for range n {
		p.control(codec.Ping, nil)
	}
}

// letter begins to send one of that size.
func (p *timePeer) letter(size, pace int) {
	p.begun++
	op, b := letter('U', p.s.name, p.begun, size, p.wish())
	u := &upload{op: op, rest: b, pace: pace, fragments: p.rng.IntN(2) == 0}
	if p.deflater != nil && p.rng.IntN(2) == 0 {
		u.rest, u.packed = p.deflater.AppendMessage(nil, b, p.sent), true
	}
	if !u.fragments {
		frame := codec.AppendMaskedFrame
		if u.packed {
			frame = codec.AppendMaskedCompressedFrame
		}
		u.rest = frame(nil, op, true, u.rest)
	}
	p.upload = u
	p.up.begunAt = p.s.w.now()
	p.goOn()
}

// wish is what a letter asks the server to do.
func (p *timePeer) wish() string {
	switch n := p.rng.IntN(400); {
	case n == 0:
		return "panic"
	case n == 1:
		return "goexit"
	case n == 2:
		return "close"
	case n < 150:
		return "echo"
	}
	return "nothing"
}

// goOn sends the next piece of a letter.
func (p *timePeer) goOn() {
	u := p.upload
	if u == nil {
		return
	}
	n := min(u.pace, len(u.rest))
	piece := u.rest[:n]
	u.rest = u.rest[n:]
	last := len(u.rest) == 0
	if u.fragments {
		frame := codec.AppendMaskedFrame
		if u.packed {
			frame, u.packed = codec.AppendMaskedCompressedFrame, false
		}
		piece = frame(nil, u.op, last, piece)
		u.op = engine.Continuation
	}
	p.emit(piece)
	p.uncredited.bytes += n
	if last {
		p.upload = nil
		p.uncredited.letters = true
		for _, f := range p.frames {
			p.emit(f)
		}
		p.frames = nil
	}
}

// emit writes to the connection.
func (p *timePeer) emit(b []byte) {
	_, _ = p.Conn.Write(b) // to memory
	p.uncredited.some = true
}

// frame sends a control frame, behind the frame under way.
func (p *timePeer) control(op engine.OpCode, payload []byte) {
	f := codec.AppendMaskedFrame(nil, op, true, payload)
	if p.upload != nil && !p.upload.fragments {
		p.frames = append(p.frames, f)
	} else {
		p.emit(f)
	}
	if op != codec.Close {
		p.up.rate.add(p.s.w.now(), p.s.w.limits.MaxControlRate)
	}
}

// room is how many more control frames are within the rate.
func (p *timePeer) room() int {
	limit := p.s.w.limits.MaxControlRate
	if limit < 0 {
		return 40
	}
	return int(float64(limit) - p.up.rate.levelAt(p.s.w.now(), limit))
}

// sayClose sends a close frame, the last thing it does.
func (p *timePeer) sayClose(code engine.StatusCode) {
	if p.over() {
		return
	}
	p.s.logf("sends a close frame %d", code)
	p.sentClose, p.sentCode = true, code
	p.control(codec.Close, codec.AppendClosePayload(nil, code, ""))
}

// halfClose ends what p sends: TCP, or only TLS.
func (p *timePeer) halfClose() {
	p.sentEnd, p.upload, p.frames = true, nil, nil
	if tc, ok := p.Conn.(*tls.Conn); ok && p.rng.IntN(2) == 0 {
		p.s.logf("close_notify")
		_ = tc.CloseWrite() // to memory
		p.uncredited.some = true
		return
	}
	p.s.logf("FIN")
	p.socket.flush()
	p.fin = true
	p.up.endAt = p.s.w.now()
	_ = p.socket.Conn.(*net.TCPConn).CloseWrite()
}

// reset ends the connection at once.
func (p *timePeer) reset() {
	p.s.logf("reset")
	_ = p.socket.Conn.(*net.TCPConn).SetLinger(0)
	p.leave()
}

// leave closes the socket.
func (p *timePeer) leave() {
	p.left, p.upload = true, nil
	if p.up.endAt == 0 {
		p.up.endAt = p.s.w.now()
	}
	p.socket.out = nil
	_ = p.socket.Conn.Close()
}
