package codec

import "math/bits"

// An entry of a table of codes says what the code means that the next bits of the
// message begin with:
//
//	bits 0 to 7    its length in bits; 0: no code begins like that
//	bits 8 to 11   what it stands for
//	bits 12 to 15  how many extra bits follow, or index the subtable
//	bits 16 to 31  the literal, the least length or distance, or where the subtable is
type entry uint32

const (
	entryLiteral entry = 1 << (8 + iota)
	entryEnd           // of the block
	entrySub           // the code is longer than what indexes the table
	entryBad           // a code without a meaning
)

func (e entry) length() uint { return uint(e & 0xff) }
func (e entry) extra() uint  { return uint(e >> 12 & 15) }
func (e entry) value() int   { return int(e >> 16) }

// The sizes of tables: the bits that index them, and entries enough for the subtables
// of 286 and of 32 codes with up to 15 bits (852 and 402, as zlib's program enough
// counts them).
const (
	literalBits  = 9
	distanceBits = 8
	clenBits     = 7

	literalSize  = 864
	distanceSize = 416
)

type (
	literalTable  [literalSize]entry
	distanceTable [distanceSize]entry
)

// What the symbols of RFC 1951 section 3.2.5 stand for, without the length of their
// codes. Those of code lengths are their values (section 3.2.7).
var literalEntries, distanceEntries, clenEntries = symbols()

func symbols() (literals [288]entry, distances [32]entry, clens [19]entry) {
	for i := range 256 {
		literals[i] = entryLiteral | entry(i)<<16
	}
	literals[256] = entryEnd
	rise(literals[257:285], 4, 3)
	literals[285] = 258 << 16
	literals[286], literals[287] = entryBad, entryBad
	rise(distances[:30], 2, 1)
	distances[30], distances[31] = entryBad, entryBad
	for i := range clens {
		clens[i] = entryLiteral | entry(i)<<16
	}
	return literals, distances, clens
}

// rise gives symbols their values: step symbols for each number of extra bits, the
// first two groups having none.
func rise(symbols []entry, step, least int) {
	for i := range symbols {
		extra := max(i/step-1, 0)
		symbols[i] = entry(extra)<<12 | entry(least)<<16
		least += 1 << extra
	}
}

// The codes of blocks that describe none (section 3.2.6).
var fixedLiterals, fixedDistances = fixedTables()

func fixedTables() (*literalTable, *distanceTable) {
	var lengths [288]uint8
	for i := range lengths {
		switch {
		case i < 144, i >= 280:
			lengths[i] = 8
		case i < 256:
			lengths[i] = 9
		default:
			lengths[i] = 7
		}
	}
	literals, distances := new(literalTable), new(distanceTable)
	buildTable(literals[:], literalBits, lengths[:], literalEntries[:])
	for i := range lengths {
		lengths[i] = 5
	}
	buildTable(distances[:], distanceBits, lengths[:32], distanceEntries[:])
	return literals, distances
}

// buildTable fills table, which index bits index, with the canonical code of these
// lengths, 0 for a symbol that has none (section 3.2.2). It reports whether it is
// a code: one that uses all bits, or has no symbol, or one symbol of one bit.
func buildTable(table []entry, index int, lengths []uint8, symbols []entry) bool {
	var count [16]int
	for _, n := range lengths {
		count[n&15]++
	}
	left := 1
	for n := 1; n < len(count); n++ {
		left = left<<1 - count[n]
		if left < 0 {
			return false
		}
	}
	if left > 0 {
		if used := len(lengths) - count[0]; used > 0 && !(used == 1 && count[1] == 1) {
			return false
		}
		clear(table[:1<<index])
	}
	var all [288]uint16
	sorted := sortByLength(&all, &count, lengths)
	code := 0
	for n := 1; n <= index; n++ {
		for _, symbol := range sorted[:count[n]] {
			table[reversed(code, n)] = symbols[symbol] | entry(n)
			code++
		}
		if n < index { // what follows the bits of a short code does not matter
			copy(table[1<<n:2<<n], table[:1<<n])
		}
		sorted = sorted[count[n]:]
		code <<= 1
	}
	return addLong(table, index, &count, sorted, symbols, code)
}

// reversed is a code of n bits in the order in which they are read.
func reversed(code, n int) int { return int(bits.Reverse16(uint16(code)) >> (16 - n)) }

// sortByLength lists the symbols that have a code in all: by length, and then in
// order.
func sortByLength(all *[288]uint16, count *[16]int, lengths []uint8) []uint16 {
	var next [16]int
	for n := 2; n < len(next); n++ {
		next[n] = next[n-1] + count[n-1]
	}
	for symbol, n := range lengths {
		if n > 0 {
			all[next[n&15]] = uint16(symbol)
			next[n&15]++
		}
	}
	return all[:len(lengths)-count[0]]
}

// addLong adds the codes of more than index bits, from code on, with a subtable for
// those that begin alike. A subtable is as wide as the longest code in it needs. It
// never reports that there is no room.
func addLong(table []entry, index int, count *[16]int, sorted []uint16, symbols []entry, code int) bool {
	prefix, base, width, end := -1, 0, 0, 1<<index
	for n := index + 1; len(sorted) > 0; n++ {
		for ; count[n] > 0; count[n]-- {
			read := reversed(code, n)
			if p := read & (1<<index - 1); p != prefix {
				prefix, base, width = p, end, subtableWidth(count, index, n)
				if end += 1 << width; end > len(table) {
					return false
				}
				table[prefix] = entrySub | entry(width)<<12 | entry(base)<<16
			}
			for i := read >> index; i < 1<<width; i += 1 << (n - index) {
				table[base+i] = symbols[sorted[0]] | entry(n)
			}
			sorted = sorted[1:]
			code++
		}
		code <<= 1
	}
	return true
}

// subtableWidth returns how many bits index a subtable of which the first code has n
// bits. count has the codes that are still to come.
func subtableWidth(count *[16]int, index, n int) int {
	width := n - index
	for left := 1 << width; index+width < 15; width++ {
		left -= count[index+width]
		if left <= 0 {
			break
		}
		left <<= 1
	}
	return width
}
