package loop

import "testing"

func TestSharedBytesAreHeldOnceHoweverMuchOfThemIsSent(t *testing.T) {
	s := NewShared(make([]byte, 1000))
	c, d := new(Conn), new(Conn)
	c.out, d.out = new(outbox), new(outbox)
	c.loop, d.loop = new(Loop), new(Loop)
	c.out.appendRef(s.b)
	d.out.appendRef(s.b)
	c.out.consume(10)
	d.out.consume(400)
	d.out.append(make([]byte, 100))
	held := make(map[*byte]int)
	if own := c.HeldLocked(held) + d.HeldLocked(held); own < 100 || own > maxChunk {
		t.Errorf("%d bytes of their own", own)
	}
	if len(held) != 1 {
		t.Errorf("%d runs of shared bytes, want one", len(held))
	}
	s.Note(held)
	for _, n := range held {
		if n != 1000 {
			t.Errorf("%d shared bytes, want 1000", n)
		}
	}
}
