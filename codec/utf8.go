package codec

import "unicode/utf8"

// Validator checks text that arrives in pieces, cut anywhere, for valid UTF-8
// (RFC 6455 section 8.1). The zero value is ready, and so is one whose text is
// Complete. It is a small value without pointers; one goroutine at a time may use
// it.
type Validator struct {
	due    uint8 // continuation bytes the open sequence still needs
	lo, hi uint8 // range of the next one
	failed bool
}

// Feed takes the next piece and reports whether all of the text so far can still
// become valid UTF-8. It is false from the first bad byte on, for good. p may end
// inside a sequence; it is not kept.
func (v *Validator) Feed(p []byte) bool {
	if v.failed {
		return false
	}
	for v.due > 0 {
		if len(p) == 0 {
			return true
		}
		if !v.step(p[0]) {
			return false
		}
		p = p[1:]
	}
	whole := len(p) - openTail(p)
	if !utf8.Valid(p[:whole]) {
		v.failed = true
		return false
	}
	for _, c := range p[whole:] {
		if !v.step(c) {
			return false
		}
	}
	return true
}

// Complete reports whether the text may end here: it is valid and no sequence is
// open.
func (v *Validator) Complete() bool { return !v.failed && v.due == 0 }

// step takes one byte that starts a sequence or goes on with the open one (the
// table of RFC 3629 section 4).
func (v *Validator) step(c byte) bool {
	if v.due > 0 {
		if c < v.lo || c > v.hi {
			v.failed = true
			return false
		}
		v.due--
		v.lo, v.hi = 0x80, 0xbf
		return true
	}
	v.lo, v.hi = 0x80, 0xbf
	switch {
	case c < 0x80:
	case c >= 0xc2 && c <= 0xdf:
		v.due = 1
	case c >= 0xe0 && c <= 0xef:
		v.due = 2
		switch c {
		case 0xe0:
			v.lo = 0xa0 // below it is an overlong form
		case 0xed:
			v.hi = 0x9f // above it is a surrogate
		}
	case c >= 0xf0 && c <= 0xf4:
		v.due = 3
		switch c {
		case 0xf0:
			v.lo = 0x90 // below it is an overlong form
		case 0xf4:
			v.hi = 0x8f // above it is past U+10FFFF
		}
	default:
		v.failed = true
	}
	return !v.failed
}

// openTail returns how many bytes at the end of p belong to a sequence that p
// cuts off.
func openTail(p []byte) int {
	for n := 1; n <= min(len(p), utf8.UTFMax-1); n++ {
		c := p[len(p)-n]
		switch {
		case c&0xc0 == 0x80:
			continue
		case c >= 0xf0 && n < 4, c >= 0xe0 && n < 3, c >= 0xc0 && n < 2:
			return n
		}
		return 0
	}
	return 0
}
