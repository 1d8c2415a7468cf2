package codec

import "encoding/binary"

// The lengths and distances that symbols stand for (RFC 1951 section 3.2.5): the
// least, and how many more bits are added to it.
var (
	lengthLeast = [...]uint16{3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31,
		35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258}
	lengthBits = [len(lengthLeast)]uint8{8: 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5}

	distanceLeast = [maxDistances]uint16{1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769,
		1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577}
	distanceBits = [maxDistances]uint8{4: 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13}

	// codeLengthOrder is the order of the code lengths for code lengths (section 3.2.7).
	codeLengthOrder = [...]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

const endOfBlock = 256

// message inflates p from its start to its end into out.
func (f *Inflater) message(p []byte) *ProtocolError {
	f.source = source{in: p}
	f.counted = 0
	for {
		final, kind := f.take(1) == 1, f.take(2)
		if f.n < 0 {
			return ErrInvalidDeflate
		}
		var fault *ProtocolError
		switch kind {
		case 0:
			f.align()
			f.rest()
			if f.at == len(f.in) {
				return nil // 00 00 ff ff follows: RFC 7692 §7.2.2
			}
			fault = f.stored()
		case 1:
			fault = f.compressed(fixedLiterals, fixedDistances)
		case 2:
			fault = f.readCodes()
			if fault == nil {
				fault = f.compressed(&f.literals, &f.distance)
			}
		default:
			fault = ErrInvalidDeflate
		}
		if fault != nil {
			return fault
		}
		if final {
			// The next block, if any, begins with an octet of its own: RFC 7692
			// §7.2.1. There should be at least an empty one (§7.2.3.4), but
			// decoders made of zlib do not miss it.
			f.align()
			f.rest()
			if f.at == len(f.in) {
				return nil
			}
		}
	}
}

// stored copies a block that is not compressed (RFC 1951 section 3.2.4).
func (f *Inflater) stored() *ProtocolError {
	b := f.in[f.at:]
	if len(b) < 4 {
		return ErrInvalidDeflate
	}
	n := binary.LittleEndian.Uint16(b)
	if n != ^binary.LittleEndian.Uint16(b[2:]) || int(n) > len(b)-4 {
		return ErrInvalidDeflate
	}
	f.at += 4
	for left := int(n); left > 0; {
		if len(f.out) == cap(f.out) {
			if fault := f.makeRoom(); fault != nil {
				return fault
			}
		}
		n := min(left, cap(f.out)-len(f.out))
		f.out = append(f.out, f.in[f.at:f.at+n]...)
		f.at += n
		left -= n
	}
	return nil
}

// readCodes reads the codes of a block (RFC 1951 section 3.2.7).
func (f *Inflater) readCodes() *ProtocolError {
	literals, distances, codes := f.take(5)+257, f.take(5)+1, f.take(4)+4
	if literals > maxLiterals || distances > maxDistances {
		return ErrInvalidDeflate
	}
	var lengths [maxLiterals + maxDistances]uint8
	for _, symbol := range codeLengthOrder[:codes] {
		lengths[symbol] = uint8(f.take(3))
	}
	if !f.literals.init(lengths[:len(codeLengthOrder)]) {
		return ErrInvalidDeflate
	}
	clear(lengths[:len(codeLengthOrder)])
	for i := 0; i < literals+distances; {
		f.fill()
		symbol, n := f.literals.decode(f.bits)
		f.take(int(n))
		if n == 0 || f.n < 0 {
			return ErrInvalidDeflate
		}
		var repeated uint8
		var times int
		switch symbol {
		default:
			lengths[i] = uint8(symbol)
			i++
			continue
		case 16:
			if i == 0 {
				return ErrInvalidDeflate
			}
			repeated, times = lengths[i-1], 3+f.take(2)
		case 17:
			times = 3 + f.take(3)
		case 18:
			times = 11 + f.take(7)
		}
		if times > literals+distances-i {
			return ErrInvalidDeflate
		}
		for range times {
			lengths[i] = repeated
			i++
		}
	}
	if f.n < 0 || !f.literals.init(lengths[:literals]) || !f.distance.init(lengths[literals:literals+distances]) {
		return ErrInvalidDeflate
	}
	return nil
}

// compressed inflates what follows the codes of a block (RFC 1951 section 3.2.3).
func (f *Inflater) compressed(literals, distances *huffman) *ProtocolError {
	for {
		f.compressedFast(literals, distances)
		f.fill()
		symbol, n := literals.decode(f.bits)
		f.take(int(n))
		switch {
		case n == 0 || f.n < 0:
			return ErrInvalidDeflate
		case symbol < endOfBlock:
			if len(f.out) == cap(f.out) {
				if fault := f.makeRoom(); fault != nil {
					return fault
				}
			}
			f.out = append(f.out, byte(symbol))
			continue
		case symbol == endOfBlock:
			return nil
		}
		symbol -= endOfBlock + 1
		if int(symbol) >= len(lengthLeast) {
			return ErrInvalidDeflate
		}
		length := int(lengthLeast[symbol]) + f.take(int(lengthBits[symbol]))
		symbol, n = distances.decode(f.bits)
		f.take(int(n))
		if n == 0 || int(symbol) >= maxDistances {
			return ErrInvalidDeflate
		}
		distance := int(distanceLeast[symbol]) + f.take(int(distanceBits[symbol]))
		if f.n < 0 {
			return ErrInvalidDeflate
		}
		if fault := f.repeat(distance, length); fault != nil {
			return fault
		}
	}
}

// compressedFast goes on with a block as far as that is simple: it stops before a
// symbol for which the input or the room may be too short, which ends the block,
// which refers back into the window, or which is not valid.
func (f *Inflater) compressedFast(literals, distances *huffman) {
	in, at, bits, n := f.in, f.at, f.bits, f.n
	out, size := f.out[:cap(f.out)], len(f.out)
	for len(in)-at >= 8 && len(out)-size >= maxLength {
		if n < 48 { // the most that one symbol takes
			bits |= binary.LittleEndian.Uint64(in[at:]) << (n & 63)
			at += (63 - n) / 8
			n |= 56
		}
		e := literals.fast[bits&(1<<fastBits-1)]
		symbol, used := int(e>>4), int(e&0xf)
		if used == 0 {
			long, n := literals.decodeLong(bits)
			symbol, used = int(long), int(n)
		}
		if symbol < endOfBlock {
			if used == 0 {
				break
			}
			out[size] = byte(symbol)
			size++
			bits >>= used & 63
			n -= used
			continue
		}
		symbol -= endOfBlock + 1
		if uint(symbol) >= uint(len(lengthLeast)) {
			break
		}
		b := bits >> (used & 63)
		extra := int(lengthBits[symbol])
		length := int(lengthLeast[symbol]) + int(b&(1<<(extra&63)-1))
		b >>= extra & 63
		used += extra
		far, width := distances.decode(b)
		if width == 0 || int(far) >= maxDistances {
			break
		}
		b >>= width & 63
		extra = int(distanceBits[far])
		distance := int(distanceLeast[far]) + int(b&(1<<(extra&63)-1))
		used += int(width) + extra
		if distance > size {
			break
		}
		bits = b >> (extra & 63)
		n -= used
		if end := size + length; distance >= length {
			copy(out[size:end], out[size-distance:])
			size = end
		} else {
			for from := size - distance; size < end; {
				size += copy(out[size:end], out[from:size])
			}
		}
	}
	f.at, f.bits, f.n, f.out = at, bits, n, out[:size]
}

// repeat appends length bytes, from distance bytes back.
func (f *Inflater) repeat(distance, length int) *ProtocolError {
	if distance > len(f.out) && (f.window == nil || distance > len(f.out)+len(f.window.ring)) {
		return ErrInvalidDeflate
	}
	for length > 0 {
		if len(f.out) == cap(f.out) {
			if fault := f.makeRoom(); fault != nil {
				return fault
			}
		}
		n := min(length, cap(f.out)-len(f.out))
		from := len(f.out) - distance
		if from < 0 {
			n = min(n, -from)
			f.out = f.window.appendBack(f.out, -from, n)
			length -= n
			continue
		}
		length -= n
		// Where the two overlap, what is copied makes the source longer.
		for n > 0 {
			part := min(n, len(f.out)-from)
			f.out = append(f.out, f.out[from:from+part]...)
			n -= part
		}
	}
	return nil
}
