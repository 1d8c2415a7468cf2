package codec

import (
	"bytes"
	"math/rand/v2"
	"runtime"
	"testing"
)

// checkDeflate compresses the messages and checks what comes out: the slow
// inflater and our own give the message back, and no distance is over the window.
func checkDeflate(t *testing.T, d *Deflater, bits int, takeover bool, messages ...[]byte) {
	t.Helper()
	var sent, received *Window
	var context []byte
	if takeover {
		sent, received = NewSendWindow(bits), NewWindow(bits)
	}
	f := NewInflater()
	for _, message := range messages {
		given := bytes.Clone(message)
		p := d.AppendMessage([]byte("before"), message, sent)
		if !bytes.Equal(message, given) || string(p[:6]) != "before" {
			t.Fatal("AppendMessage changed what it was given")
		}
		p = p[6:]
		if most := len(message) + 6*(len(message)>>14+1) + 2; len(p) > most {
			t.Fatalf("%d bytes became %d", len(message), len(p))
		}
		out, far, err := slowInflate(p, context)
		if err != nil || !bytes.Equal(out, message) {
			t.Fatalf("%.100q of %d bytes became %.100x, and that %d bytes %.100q, %v", message, len(message), p, len(out), out, err)
		}
		if far > 1<<bits {
			t.Fatalf("with %d bits a distance is %d", bits, far)
		}
		out, err = f.Inflate(p, received, InflateLimit{MaxMessage: -1, MaxRatio: -1})
		if err != nil || !bytes.Equal(out, message) {
			t.Fatalf("%.100q of %d bytes: Inflate returns %d bytes, %v", message, len(message), len(out), err)
		}
		if stock, err := stockInflate(p, context); err != nil || !bytes.Equal(stock, message) {
			t.Fatalf("%d bytes: the standard library returns %d bytes, %v", len(message), len(stock), err)
		}
		if takeover {
			context = append(context, message...)
			context = context[max(0, len(context)-1<<bits):]
		}
	}
}

func TestMessagesInflateToWhatTheyWere(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for bits := MinWindowBits; bits <= MaxWindowBits; bits++ {
		d := NewDeflater(bits)
		for _, takeover := range []bool{false, true} {
			var messages [][]byte
			for range 50 {
				n := rng.IntN(1 << rng.IntN(14))
				messages = append(messages, chat(rng, n), random(n/8), bytes.Repeat([]byte("a"), n))
			}
			for _, n := range []int{16<<10 - 1, 16 << 10, 16<<10 + 1, 48 << 10, 100_000} {
				messages = append(messages, chat(rng, n), random(n), bytes.Repeat([]byte("ab"), n))
			}
			checkDeflate(t, d, bits, takeover, messages...)
		}
	}
}

// RFC 7692 §7.2.3.6
func TestEmptyMessageIsOneOctet(t *testing.T) {
	d := NewDeflater(15)
	window := NewSendWindow(15)
	for _, p := range []string{"", "first", "", ""} {
		got := d.AppendMessage(nil, []byte(p), window)
		if p == "" && string(got) != "\x00" {
			t.Errorf("an empty message is %x", got)
		}
	}
}

func TestWindowThatWasResetIsNotReferredTo(t *testing.T) {
	d, window := NewDeflater(15), NewSendWindow(15)
	message := chat(rand.New(rand.NewPCG(3, 4)), 500)
	first := d.AppendMessage(nil, message, window)
	again := d.AppendMessage(nil, message, window)
	window.Reset()
	after := d.AppendMessage(nil, message, window)
	if len(again) > 20 || !bytes.Equal(after, first) {
		t.Errorf("%d bytes became %d, again %d, and %d after Reset", len(message), len(first), len(again), len(after))
	}
}

// One Deflater serves connections in turn: none refers to messages of another.
func TestDeflaterKeepsConnectionsApart(t *testing.T) {
	d, rng := NewDeflater(12), rand.New(rand.NewPCG(5, 6))
	secret := chat(rng, 300)
	var windows [3]*Window
	var contexts [3][]byte
	for i := range windows {
		windows[i] = NewSendWindow(12)
	}
	for i := range 300 {
		who := i % 3
		message := append(chat(rng, rng.IntN(400)), secret...)
		out, _, err := slowInflate(d.AppendMessage(nil, message, windows[who]), contexts[who])
		if err != nil || !bytes.Equal(out, message) {
			t.Fatalf("message %d of connection %d: %v", i/3, who, err)
		}
		contexts[who] = append(contexts[who], message...)
	}
}

// Text is compressed where nothing in it repeats, too.
func TestTextWithoutMatchesIsCompressed(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for _, bits := range []int{MinWindowBits, 12, MaxWindowBits} {
		d := NewDeflater(bits)
		for _, n := range []int{256, 1000, 100_000} {
			text := make([]byte, n)
			for i := range text {
				text[i] = "0123456789abcdef"[rng.IntN(16)]
			}
			checkDeflate(t, d, bits, false, text)
			checkDeflate(t, d, bits, true, text, text)
			if p := d.AppendMessage(nil, text, nil); len(p) > n*9/10 {
				t.Errorf("%d bits: %d hexadecimal digits became %d bytes", bits, n, len(p))
			}
		}
	}
}

func TestTakeoverMakesSmallMessagesSmaller(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	d, window := NewDeflater(15), NewSendWindow(15)
	plain, alone, after := 0, 0, 0
	for range 200 {
		p := chat(rng, 300)
		plain += len(p)
		alone += len(d.AppendMessage(nil, p, nil))
		after += len(d.AppendMessage(nil, p, window))
	}
	if alone > plain*9/10 || after > plain*3/5 {
		t.Errorf("%d bytes became %d, and %d with takeover", plain, alone, after)
	}
	if n := len(d.AppendMessage(nil, chat(rng, 1024), nil)); n > 512 {
		t.Errorf("1 KiB became %d bytes", n)
	}
}

func TestSizeIsWhatIsHeld(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 1))
	large := chat(rng, 100_000)
	packed := stockDeflate(large[:maxScratch], 6, nil)
	dst := make([]byte, 0, 200_000)
	type sized interface{ Size() int }
	used := func(d *Deflater) *Deflater {
		window := NewSendWindow(9)
		d.AppendMessage(dst, large, window)
		d.AppendMessage(dst, large, window)
		return d
	}
	for name, f := range map[string]func() sized{
		"Deflater":                   func() sized { return used(NewDeflater(15)) },
		"Deflater of a small window": func() sized { return used(NewDeflater(9)) },
		"new Inflater":               func() sized { return NewInflater() },
		"used Inflater": func() sized {
			f := NewInflater()
			f.Inflate(packed, nil, InflateLimit{})
			return f
		},
		"new Window":     func() sized { return NewWindow(15) },
		"window of 100":  func() sized { w := NewWindow(15); w.add(large[:100]); return w },
		"window of 3000": func() sized { w := NewWindow(15); w.add(large[:3000]); return w },
		"full Window":    func() sized { w := NewWindow(15); w.add(large); return w },
		"to send":        func() sized { w := NewSendWindow(15); w.add(large); return w },
	} {
		var all [300]sized
		count := len(all)
		if f().Size() > 10_000 {
			count = 10
		}
		want := int64(0)
		got := held(func(look func()) {
			for i := range count {
				all[i] = f()
				want += int64(all[i].Size())
			}
			look()
		})
		// The runtime itself may take some KiB meanwhile.
		if slack := want/10 + 8<<10; want < got-slack || want > got+slack {
			t.Errorf("%s: Size says %d, it holds %d", name, want/int64(count), got/int64(count))
		}
		runtime.KeepAlive(all)
	}
}

func TestDeflateAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 12))
	d, window := NewDeflater(15), NewSendWindow(15)
	dst := make([]byte, 0, 1<<18)
	d.AppendMessage(dst, chat(rng, 1<<16), window)
	for _, size := range []int{0, 10, 1000, 16 << 10, 64 << 10} {
		message := chat(rng, size)
		for _, w := range []*Window{nil, window} {
			if n := testing.AllocsPerRun(100, func() { d.AppendMessage(dst, message, w) }); n != 0 {
				t.Errorf("%d bytes: AppendMessage allocates %v times", size, n)
			}
		}
	}
}

func FuzzDeflateRoundTrip(f *testing.F) {
	rng := rand.New(rand.NewPCG(13, 14))
	f.Add([]byte(""), uint8(0), true, uint16(0))
	f.Add([]byte("a"), uint8(0), false, uint16(1))
	f.Add(bytes.Repeat([]byte("ab"), 400), uint8(1), true, uint16(259))
	f.Add(chat(rng, 3000), uint8(15), true, uint16(100))
	f.Add(chat(rng, 3000), uint8(8), true, uint16(700))
	f.Add([]byte("aaabaaacaaadaaaeaaafaaagaaahaaaiaaajaaakaaalaaamaaanaaaoaaap"), uint8(9), true, uint16(13))
	f.Fuzz(func(t *testing.T, b []byte, bits uint8, takeover bool, size uint16) {
		width := MinWindowBits + int(bits)%(MaxWindowBits-MinWindowBits+1)
		b = b[:min(len(b), 48<<10)]
		messages := [][]byte{nil}
		for rest := b; len(rest) > 0; {
			n := min(int(size)+1, len(rest))
			messages = append(messages, rest[:n])
			rest = rest[n:]
		}
		messages = messages[:min(len(messages), 20)]
		messages = append(messages, b, b)
		checkDeflate(t, NewDeflater(width), width, takeover, messages...)
	})
}

// That flate looks for no match in less than minSearched bytes is why these get
// no context: should it begin to, this shows.
func TestSmallMessagesWouldNotUseTheirContext(t *testing.T) {
	context := chat(rand.New(rand.NewPCG(19, 20)), 1000)
	for _, n := range []int{minSearched - 1, minSearched} {
		d := NewDeflater(MaxWindowBits)
		d.writer.ResetDict(&d.out, context)
		_, _ = d.writer.Write(context[:n])
		_ = d.writer.Flush()
		if used := len(d.out.bytes) < n/2; used != (n >= minSearched) {
			t.Errorf("%d bytes that were just seen became %d", n, len(d.out.bytes))
		}
	}
}
