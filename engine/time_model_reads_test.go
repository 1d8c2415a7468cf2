//go:build linux

package engine_test

import (
	"errors"
	"io"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine"
)

// pump sends and reads what can be without waiting, and says whether anything was
// read.
func (p *timePeer) pump() (read bool) {
	if p.left || p.broken != nil {
		return false
	}
	p.socket.flush()
	for !p.eof {
		n, err := p.Conn.Read(p.s.w.buf)
		read = read || n > 0
		p.parse(p.s.w.buf[:n])
		switch {
		case err == nil:
			continue
		case isTemporary(err):
		case errors.Is(err, io.EOF):
			p.eof = true
			p.s.logf("EOF")
		default:
			p.broken = err
			p.s.logf("broken: %v", err)
			return read
		}
		break
	}
	p.socket.flush()
	p.credit()
	if p.eof && p.habit.finishes && len(p.socket.out) == 0 {
		p.leave()
	}
	return read
}

// credit counts as sent what has left by now.
func (p *timePeer) credit() {
	now := p.s.w.now()
	if left := p.socket.sent - p.up.sent; left > 0 {
		p.up.sent, p.up.someAt = p.socket.sent, now
		n := min(left, p.uncredited.bytes)
		p.uncredited.bytes -= n
		p.up.arrived.add(now, n)
	}
	if len(p.socket.out) > 0 || !p.uncredited.some {
		return
	}
	p.up.heardAt, p.owes = now, 0
	p.up.arrived.add(now, p.uncredited.bytes)
	if p.uncredited.letters {
		p.up.letterAt = now
	}
	if (p.saidClose() || p.sentEnd) && p.up.endAt == 0 {
		p.up.endAt = now
	}
	p.uncredited = uncredited{}
}

// parse reads frames.
func (p *timePeer) parse(b []byte) {
	for {
		ev, ok, n, err := p.reader.Next(b)
		if err != nil {
			p.s.violates("frames", "the server sent what is no frame: %v", err)
			p.broken = err
			return
		}
		if !ok {
			return
		}
		b = b[n:]
		p.receive(&ev)
	}
}

func (p *timePeer) receive(ev *codec.Event) {
	if p.gotClose {
		p.s.violates("last", "%v came behind the close frame", ev.OpCode)
	}
	switch ev.OpCode {
	case codec.Ping:
		p.owes++
		if p.habit.answers && !p.over() {
			p.control(codec.Pong, ev.Payload)
		}
	case codec.Pong:
	case codec.Close:
		p.gotClose = true
		code, _, err := codec.ParseClosePayload(ev.Payload)
		p.s.logf("got a close frame %d %v", code, err)
		if p.habit.finishes {
			if !code.ValidOnWire() {
				code = engine.StatusNormalClosure
			}
			p.sayClose(code)
		}
	default:
		p.read(ev)
	}
}

// read checks a letter.
func (p *timePeer) read(ev *codec.Event) {
	b := ev.Payload
	if ev.Compressed {
		var err error
		if b, err = p.inflater.Inflate(b, p.received, codec.InflateLimit{MaxMessage: 16 << 20, MaxRatio: -1}); err != nil {
			p.s.violates("frames", "what came does not inflate: %v", err)
			return
		}
	}
	who, number, _, ok := openLetter(ev.OpCode, b)
	switch {
	case !ok || who.kind == 'S' && who.name != p.s.name || who.kind == 'U':
		p.s.violates("foreign bytes", "received %v of %d bytes %.60q", ev.OpCode, len(b), b)
	case who.kind == 'S':
		p.letters++
		if number != p.letters {
			p.s.violates("order", "letter %d came in the place of %d", number, p.letters)
			p.letters = number
		}
	case p.s.topics[who.name] == nil:
		p.s.violates("foreign bytes", "received what was published to %q", who.name)
	default:
		if number <= p.numbers[who.name] {
			p.s.violates("order", "%s %d came behind %d", who.name, number, p.numbers[who.name])
		}
		p.numbers[who.name] = number
		p.news[who.name]++
	}
}

// readToTheEnd reads what is left for a peer whose server's side has ended.
func (p *timePeer) readToTheEnd() {
	p.socket.may = 1 << 30
	p.habit.finishes = false // it does not answer any more
	p.s.w.wait("the end of "+p.s.name, func() bool {
		p.pump()
		return p.left || p.eof || p.broken != nil
	})
	if !p.left {
		p.leave()
	}
}

// sample notes what the peer has got by now. What it keeps in its kernel counts when
// that is known here.
func (p *timePeer) sample() {
	f := &p.up
	here, there, ok := p.s.kernels()
	if !ok {
		return
	}
	f.taken.add(p.s.w.now(), int(here.acked)-f.had)
	f.had = int(here.acked)
	f.clear = there != nil && p.owes == 0 && there.unread == 0 && len(p.socket.out) == 0 && p.broken == nil && !p.sentEnd &&
		p.s.ws.Buffered() == 0 && there.arrived(&here, false)
}
