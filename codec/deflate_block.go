package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// blockWriter writes the tokens of a block in the form that takes least.
type blockWriter struct {
	literals, distances, lengths huffmanCode

	header []run // the lengths of the other two, as they are written
	out    bitWriter
}

// run is a symbol of the code for code lengths, with its extra bits (RFC 1951
// section 3.2.7).
type run struct{ symbol, extra uint8 }

const (
	lengthSymbols     = len(codeLengthOrder)
	maxCodeLengthBits = 7
	symbolRepeat      = 16 // the length before, 3 to 6 times
	symbolZeros       = 17 // 3 to 10 times
	symbolManyZeros   = 18 // 11 to 138 times

	fixedDistanceBits = 5

	minDynamic = 64 // with fewer tokens codes of their own hardly ever pay
)

var runBits = [lengthSymbols]uint8{symbolRepeat: 2, symbolZeros: 3, symbolManyZeros: 7}

// lengthSymbol is the symbol less 257 of each length less 3.
var lengthSymbol = func() (symbols [maxLength - 3 + 1]uint8) {
	for symbol, least := range lengthLeast {
		for i := range 1 << lengthBits[symbol] {
			if length := int(least) - 3 + i; length < len(symbols) {
				symbols[length] = uint8(symbol)
			}
		}
	}
	return symbols
}()

// distanceSymbol is the symbol of a distance less 1.
func distanceSymbol(less1 uint32) uint32 {
	if less1 < 2 {
		return less1
	}
	n := uint32(bits.Len32(less1))
	return 2*(n-1) + less1>>(n-2)&1
}

// The codes of RFC 1951 section 3.2.6.
var fixedCode, fixedDistanceCode = func() (literals, distances huffmanCode) {
	literals.symbols = copy(literals.lengths[:], fixedLengths())
	literals.assign()
	for symbol := range maxDistances {
		distances.lengths[symbol] = fixedDistanceBits
	}
	distances.symbols = maxDistances
	distances.assign()
	return literals, distances
}()

// block writes tokens, which stand for b.
func (w *blockWriter) block(tokens []token, b []byte) {
	extra := w.count(tokens)
	dynamic := math.MaxInt
	if len(tokens) >= minDynamic {
		w.literals.build(maxCodeBits)
		w.distances.build(maxCodeBits)
		dynamic = w.buildHeader() + w.literals.cost(&w.literals) + w.distances.cost(&w.distances) + extra
	}
	fixed := w.literals.cost(&fixedCode) + w.distances.cost(&fixedDistanceCode) + extra
	stored := int(-(w.out.n+3)&7) + 32 + 8*len(b)
	switch {
	case stored <= min(fixed, dynamic):
		w.out.add(0<<1, 3)
		w.out.align()
		n := uint16(len(b))
		w.out.bytes = binary.LittleEndian.AppendUint16(w.out.bytes, n)
		w.out.bytes = binary.LittleEndian.AppendUint16(w.out.bytes, ^n)
		w.out.bytes = append(w.out.bytes, b...)
	case fixed <= dynamic:
		w.out.add(1<<1, 3)
		w.write(tokens, &fixedCode, &fixedDistanceCode)
	default:
		w.out.add(2<<1, 3)
		w.writeHeader()
		w.literals.assign()
		w.distances.assign()
		w.write(tokens, &w.literals, &w.distances)
	}
}

// count notes how often each symbol occurs, and returns how many extra bits the
// tokens take.
func (w *blockWriter) count(tokens []token) (extra int) {
	w.literals.symbols, w.distances.symbols = maxLiterals, maxDistances
	clear(w.literals.used[:])
	clear(w.distances.used[:maxDistances])
	for _, t := range tokens {
		if t&isMatch == 0 {
			w.literals.used[t]++
			continue
		}
		length, distance := lengthSymbol[t.lengthLess3()], distanceSymbol(t.distanceLess1())
		w.literals.used[endOfBlock+1+int(length)]++
		w.distances.used[distance]++
		extra += int(lengthBits[length]) + int(distanceBits[distance])
	}
	w.literals.used[endOfBlock] = 1
	return extra
}

func (w *blockWriter) write(tokens []token, literals, distances *huffmanCode) {
	for _, t := range tokens {
		if t&isMatch == 0 {
			w.out.add(uint32(literals.codes[t]), uint(literals.lengths[t]))
			continue
		}
		length := lengthSymbol[t.lengthLess3()]
		symbol := endOfBlock + 1 + int(length)
		n := uint(literals.lengths[symbol])
		more := t.lengthLess3() - uint32(lengthLeast[length]-3)
		w.out.add(uint32(literals.codes[symbol])|more<<n, n+uint(lengthBits[length]))

		distance := distanceSymbol(t.distanceLess1())
		n = uint(distances.lengths[distance])
		more = t.distanceLess1() - uint32(distanceLeast[distance]-1)
		w.out.add(uint32(distances.codes[distance])|more<<n, n+uint(distanceBits[distance]))
	}
	w.out.add(uint32(literals.codes[endOfBlock]), uint(literals.lengths[endOfBlock]))
}

// buildHeader describes the codes, and returns how many bits that takes.
func (w *blockWriter) buildHeader() int {
	var all [maxLiterals + maxDistances]uint8
	n := copy(all[:], w.literals.lengths[:w.literals.size(endOfBlock+1)])
	n += copy(all[n:], w.distances.lengths[:w.distances.size(1)])
	w.header = w.header[:0]
	clear(w.lengths.used[:lengthSymbols])
	for lengths := all[:n]; len(lengths) > 0; {
		r, times := nextRun(lengths)
		w.header = append(w.header, r)
		w.lengths.used[r.symbol]++
		lengths = lengths[times:]
		if r.symbol < symbolRepeat {
			for times = runOf(lengths, r.symbol, 6); times >= 3; times = runOf(lengths, r.symbol, 6) {
				w.header = append(w.header, run{symbolRepeat, uint8(times - 3)})
				w.lengths.used[symbolRepeat]++
				lengths = lengths[times:]
			}
		}
	}
	w.lengths.symbols = lengthSymbols
	w.lengths.build(maxCodeLengthBits)
	size := 5 + 5 + 4 + 3*w.lengthCodes() + w.lengths.cost(&w.lengths)
	for symbol, n := range runBits {
		size += int(n) * int(w.lengths.used[symbol])
	}
	return size
}

// nextRun returns what to write for the front of lengths, a length that repeats
// one before it excepted, and how many lengths that is.
func nextRun(lengths []uint8) (r run, times int) {
	switch times = runOf(lengths, 0, 138); {
	case times >= 11:
		return run{symbolManyZeros, uint8(times - 11)}, times
	case times >= 3:
		times = min(times, 10)
		return run{symbolZeros, uint8(times - 3)}, times
	}
	return run{lengths[0], 0}, 1
}

// runOf returns how often length stands at the front of lengths, at most limit.
func runOf(lengths []uint8, length uint8, limit int) int {
	n := 0
	for n < min(limit, len(lengths)) && lengths[n] == length {
		n++
	}
	return n
}

// lengthCodes returns how many lengths of the code for code lengths are written.
func (w *blockWriter) lengthCodes() int {
	n := lengthSymbols
	for n > 4 && w.lengths.lengths[codeLengthOrder[n-1]] == 0 {
		n--
	}
	return n
}

func (w *blockWriter) writeHeader() {
	w.out.add(uint32(w.literals.size(endOfBlock+1)-(endOfBlock+1)), 5)
	w.out.add(uint32(w.distances.size(1)-1), 5)
	n := w.lengthCodes()
	w.lengths.assign()
	w.out.add(uint32(n-4), 4)
	for _, symbol := range codeLengthOrder[:n] {
		w.out.add(uint32(w.lengths.lengths[symbol]), 3)
	}
	for _, r := range w.header {
		n := uint(w.lengths.lengths[r.symbol])
		w.out.add(uint32(w.lengths.codes[r.symbol])|uint32(r.extra)<<n, n+uint(runBits[r.symbol]))
	}
}
