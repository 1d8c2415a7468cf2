package codec

import (
	"math/rand/v2"
	"testing"
)

// randomLengths are code lengths for symbols: mostly of a complete code, made by
// splitting leaves, sometimes with one spoiled.
func randomLengths(rng *rand.Rand, symbols, most int) []uint8 {
	leaves := []int{0}
	if used := rng.IntN(symbols) + 1; used > 1 {
		leaves = []int{1, 1}
		for tries := 0; len(leaves) < used && tries < 10_000; tries++ {
			i := rng.IntN(len(leaves))
			if rng.IntN(2) == 0 { // deeper where it is deep
				i = len(leaves) - 1
			}
			if leaves[i] < most {
				leaves[i]++
				leaves = append(leaves, leaves[i])
			}
		}
	} else if rng.IntN(2) == 0 {
		leaves[0] = 1 + rng.IntN(2)
	}
	lengths := make([]uint8, symbols)
	for i, at := range rng.Perm(symbols)[:len(leaves)] {
		lengths[at] = uint8(leaves[i])
	}
	if rng.IntN(4) == 0 {
		lengths[rng.IntN(symbols)] = uint8(rng.IntN(most + 1))
	}
	return lengths
}

// Every code, and what is none, is what the oracle makes of it; all sequences of
// bits are looked up.
func TestTablesHoldTheirCodes(t *testing.T) {
	rng := rand.New(rand.NewPCG(23, 24))
	good, bad, long := 0, 0, 0
	for range 100 {
		for _, kind := range []struct {
			table   []entry
			index   int
			symbols []entry
			most    int
		}{
			{make([]entry, literalSize), literalBits, literalEntries[:286], 15},
			{make([]entry, literalSize), literalBits, literalEntries[:], 15},
			{make([]entry, distanceSize), distanceBits, distanceEntries[:30], 15},
			{make([]entry, distanceSize), distanceBits, distanceEntries[:], 15},
			{make([]entry, 1<<clenBits), clenBits, clenEntries[:], 7},
		} {
			for i := range kind.table {
				kind.table[i] = entry(rng.Uint32()) // of the block before
			}
			lengths := randomLengths(rng, len(kind.symbols), kind.most)
			want, ok := slowTable(lengths)
			if buildTable(kind.table, kind.index, lengths, kind.symbols) != ok {
				t.Fatalf("lengths %v are a code: %v", lengths, ok)
			}
			if !ok {
				bad++
				continue
			}
			good++
			for read := range 1 << 15 {
				e := kind.table[read&(1<<kind.index-1)]
				if e&entrySub != 0 {
					long++
					e = kind.table[e.value()+read>>kind.index&(1<<e.extra()-1)]
				}
				symbol, n := want.lookUp(read)
				if n != int(e.length()) || n > 0 && e&^0xff != kind.symbols[symbol] {
					t.Fatalf("lengths %v: bits %015b are %x, want symbol %d of %d bits", lengths, read, e, symbol, n)
				}
			}
		}
	}
	if good < 150 || bad < 25 || long == 0 {
		t.Errorf("%d codes, %d that are none, %d lookups of long ones", good, bad, long)
	}
}

// slowTable is the code of the slow inflater.
func slowTable(lengths []uint8) (code slowCode, ok bool) {
	defer func() {
		if r := recover(); r != nil && r != errSlow {
			panic(r)
		}
	}()
	of := make([]int, len(lengths))
	for i, n := range lengths {
		of[i] = int(n)
	}
	code = new(slowInflater).code(of)
	return code, true
}

// lookUp returns the symbol whose code comes first in read, lowest bit first; n is
// 0 if there is none.
func (c slowCode) lookUp(read int) (symbol, n int) {
	v := 1
	for n := 1; n <= 15; n++ {
		v = v<<1 | read&1
		read >>= 1
		if symbol, ok := c[v]; ok {
			return symbol, n
		}
	}
	return 0, 0
}

// R-b: whatever a message consists of, Continue takes no more of it than it was
// asked to, but for the tables of one block.
func TestContinueStopsAnywhere(t *testing.T) {
	const most = 1000
	var w bitWriter
	for range 2000 {
		w.described(286, 30)
	}
	w.add(0, 3)
	var fixed bitWriter
	for range 20_000 {
		fixed.add(1<<1, 3)
		fixed.add(0, 7)
	}
	fixed.add(0, 3)
	after32K := append(stockDeflate(make([]byte, 32<<10), 9, nil), deflateTail...)
	repeated := func(block string, n int) []byte {
		p := after32K[:len(after32K):len(after32K)]
		for range n {
			p = append(p, block...)
		}
		return append(p, 0)
	}
	for name, p := range map[string][]byte{
		"blocks that describe codes": w.p,
		"empty fixed blocks":         fixed.p,
		"empty final blocks":         repeated("\x03\x00", 20_000),
		"empty stored blocks":        repeated("\x00\x00\x00\xff\xff", 10_000),
		"final stored blocks":        repeated("\x01\x00\x00\xff\xff", 10_000),
		"zeros":                      stockDeflate(make([]byte, 900_000), 9, nil),
		"text":                       stockDeflate(chat(rand.New(rand.NewPCG(1, 2)), 900_000), 6, nil),
		"stored":                     stockDeflate(chat(rand.New(rand.NewPCG(1, 2)), 900_000), 0, nil),
	} {
		f := NewInflater()
		f.Begin(nil, InflateLimit{})
		for whole := false; !whole; {
			used, size := f.decoder.used(), f.size
			spent, done, err := f.Continue(p, most)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read, out := f.decoder.used()-used, f.size-size
			if spent > most+effortCodes+2000 && name != "stored" || read > 300 && name != "stored" || out > 33<<10 {
				t.Fatalf("%s: asked for %d, %d were spent; %d bytes were read, %d came out", name, most, spent, read, out)
			}
			whole = done
		}
	}
}
