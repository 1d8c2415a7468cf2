package codec

import "encoding/binary"

// decode reads the symbols of a block with codes, until out is full, or about most
// is spent, or the block ends. Inflating takes its time here, so what it needs of d
// is in variables meanwhile.
func (d *decoder) decode(out []byte, i int, w *Window, most Effort) (int, error) {
	if d.length > 0 {
		var err error
		if i, err = d.copyMatch(out, i, w); err != nil {
			return i, err
		}
	}
	in, at, acc, n := d.in, d.at, d.bits, d.n
	literals, distances := d.literals, d.distances
	lastIn, lastOut := len(in), len(out)
	if Effort(len(in)-at)*effortIn > most {
		lastIn = at + int(most/effortIn)
	}
	if Effort(len(out)-i)/outsPerUnit > most {
		lastOut = i + int(most)*outsPerUnit + 1
	}
	ended, bad := false, false
	for i < lastOut && at <= lastIn && n >= 0 {
		if at+8 <= len(in) { // as load does
			acc |= binary.LittleEndian.Uint64(in[at:]) << n
			at += (63 - n) >> 3
			n |= 56
		} else {
			for n < 56 && at < len(in) {
				acc |= uint64(in[at]) << n
				at++
				n += 8
			}
		}

		e := literals[acc&(1<<literalBits-1)]
		if e&entrySub != 0 {
			e = literals[e.value()+int(acc>>literalBits&(1<<e.extra()-1))]
		}
		acc >>= e.length()
		n -= int(e.length())
		if e&entryLiteral != 0 {
			out[i] = byte(e >> 16)
			i++
			continue
		}
		if ended = e&entryEnd != 0; ended {
			break
		}
		if bad = e.length() == 0 || e&entryBad != 0; bad {
			break
		}
		length := e.value() + int(acc&(1<<e.extra()-1))
		acc >>= e.extra()
		n -= int(e.extra())

		e = distances[acc&(1<<distanceBits-1)]
		if e&entrySub != 0 {
			e = distances[e.value()+int(acc>>distanceBits&(1<<e.extra()-1))]
		}
		if bad = e.length() == 0 || e&entryBad != 0; bad {
			break
		}
		acc >>= e.length()
		distance := e.value() + int(acc&(1<<e.extra()-1))
		acc >>= e.extra()
		n -= int(e.length() + e.extra())
		switch {
		case n < 0: // it is cut off
		case distance >= length && distance <= i && length <= len(out)-i:
			copy(out[i:i+length], out[i-distance:])
			i += length
		default:
			d.length, d.distance = length, distance
			var err error
			if i, err = d.copyMatch(out, i, w); err != nil {
				return i, err
			}
		}
	}
	d.at, d.bits, d.n = at, acc, n
	switch {
	case bad || n < 0:
		return i, ErrInvalidDeflate
	case ended:
		d.endBlock()
	}
	return i, nil
}

// copyMatch copies the match that is due, as far as out has room.
func (d *decoder) copyMatch(out []byte, i int, w *Window) (int, error) {
	if back := d.distance - i; back > 0 { // it begins before the message
		if w == nil || back > len(w.ring) {
			return i, ErrInvalidDeflate
		}
		n := min(back, d.length, len(out)-i)
		w.appendBack(out[:i], back, n)
		i += n
		d.length -= n
	}
	end := i + min(d.length, len(out)-i)
	for from := i - d.distance; i < end; { // it may repeat what it copies
		n := copy(out[i:end], out[from:i])
		i += n
		d.length -= n
	}
	return i, nil
}
