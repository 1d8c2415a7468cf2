package codec

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// bitWriter appends bits, from the low bit of each octet up (RFC 1951 section
// 3.1.1).
type bitWriter struct {
	bytes []byte
	bits  uint64
	n     uint // of bits; less than 32 between calls
}

// add appends the low n bits of v, at most 32; the others are zero.
func (w *bitWriter) add(v uint32, n uint) {
	w.bits |= uint64(v) << w.n
	w.n += n
	if w.n >= 32 {
		w.bytes = binary.LittleEndian.AppendUint32(w.bytes, uint32(w.bits))
		w.bits >>= 32
		w.n -= 32
	}
}

// align appends zeros up to the end of an octet.
func (w *bitWriter) align() {
	for n := int(w.n); n > 0; n -= 8 {
		w.bytes = append(w.bytes, byte(w.bits))
		w.bits >>= 8
	}
	w.n = 0
}

// huffmanCode is a canonical Huffman code to write with.
type huffmanCode struct {
	symbols int
	used    [maxLiterals + 2]uint32 // how often each symbol occurs
	lengths [maxLiterals + 2]uint8
	codes   [maxLiterals + 2]uint16 // with the first bit lowest
}

// build makes the lengths of the code that takes least, or nearly so if that one
// has codes of over limit bits.
func (h *huffmanCode) build(limit int) {
	const symbolBits = 9
	var space [maxLiterals]uint32
	order := space[:0]
	for symbol, times := range h.used[:h.symbols] {
		if times > 0 {
			order = append(order, times<<symbolBits|uint32(symbol))
		}
	}
	// A code of two symbols at least is one that every decoder takes.
	for symbol := uint32(0); len(order) < 2; symbol++ {
		if h.used[symbol] == 0 {
			order = append(order, 1<<symbolBits|symbol)
		}
	}
	slices.Sort(order)
	var weights [maxLiterals]uint32
	depths := weights[:len(order)]
	for flatten := 0; ; flatten++ {
		for i, v := range order {
			depths[i] = (v>>symbolBits-1)>>flatten + 1
		}
		huffmanDepths(depths)
		if int(depths[0]) <= limit {
			break
		}
	}
	clear(h.lengths[:h.symbols])
	for i, v := range order {
		h.lengths[v&(1<<symbolBits-1)] = uint8(depths[i])
	}
}

// cost returns how many bits the symbols take when they are written with code.
func (h *huffmanCode) cost(code *huffmanCode) int {
	n := 0
	for symbol, times := range h.used[:h.symbols] {
		n += int(times) * int(code.lengths[symbol])
	}
	return n
}

// size returns how many symbols there are up to the last that has a code, and
// least at least.
func (h *huffmanCode) size(least int) int {
	n := h.symbols
	for n > least && h.lengths[n-1] == 0 {
		n--
	}
	return n
}

// assign gives out the codes of the lengths (RFC 1951 section 3.2.2).
func (h *huffmanCode) assign() {
	n := h.symbols
	var next [maxCodeBits + 2]uint16
	for _, length := range h.lengths[:n] {
		next[length+1]++
	}
	next[1] = 0
	for length := 2; length <= maxCodeBits; length++ {
		next[length] = (next[length] + next[length-1]) << 1
	}
	for symbol, length := range h.lengths[:n] {
		// No branch: which symbols have a code cannot be foretold.
		h.codes[symbol] = bits.Reverse16(next[length&15]) >> (16 - length&31)
		next[length&15]++
	}
}

// huffmanDepths turns weights, in ascending order, into the depths of the leaves
// of a Huffman tree, in place (Moffat and Katajainen, "In-Place Calculation of
// Minimum-Redundancy Codes").
func huffmanDepths(a []uint32) {
	n := len(a)
	a[0] += a[1]
	root, leaf := 0, 2
	for next := 1; next < n-1; next++ {
		if leaf >= n || a[root] < a[leaf] {
			a[next] = a[root]
			a[root] = uint32(next)
			root++
		} else {
			a[next] = a[leaf]
			leaf++
		}
		if leaf >= n || root < next && a[root] < a[leaf] {
			a[next] += a[root]
			a[root] = uint32(next)
			root++
		} else {
			a[next] += a[leaf]
			leaf++
		}
	}
	a[n-2] = 0
	for next := n - 3; next >= 0; next-- {
		a[next] = a[a[next]] + 1
	}
	available, used, depth := 1, 0, uint32(0)
	root = n - 2
	for next := n - 1; available > 0; {
		for root >= 0 && a[root] == depth {
			used++
			root--
		}
		for available > used {
			a[next] = depth
			next--
			available--
		}
		available = 2 * used
		depth++
		used = 0
	}
}
