package codec

import (
	"testing"
)

// RFC 7692 §7.2.3.6
func TestEmptyMessageIsOneOctet(t *testing.T) {
	d, f, window, back := NewDeflater(15), NewInflater(), NewWindow(15), NewWindow(15)
	for _, p := range []string{"", "first", "", ""} {
		got := d.AppendMessage(nil, []byte(p), window)
		if p == "" && string(got) != "\x00" {
			t.Errorf("an empty message is %x", got)
		}
		if out, err := f.Inflate(got, back, InflateLimit{}); err != nil || string(out) != p {
			t.Errorf("%q came back as %q, %v", p, out, err)
		}
	}
}
