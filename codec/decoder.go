package codec

import "encoding/binary"

// Effort is about how long something takes, in nanoseconds. It is reckoned from
// what there is to do and not measured.
type Effort int64

const (
	effortBlock Effort = 100  // to begin a block
	effortCodes Effort = 2500 // to build the tables of one that describes its codes
	effortIn    Effort = 12   // a byte that is read: literals and short matches
	outsPerUnit        = 4    // bytes that come out of long matches
)

// decoder reads the blocks of a message (RFC 1951). It can stop anywhere.
type decoder struct {
	in   []byte // the message; it may move between two calls
	at   int    // what is loaded of it
	bits uint64 // loaded, and not used; what is above the first n repeats what follows
	n    int    // less than 0: more was used than there is

	state     blockState
	final     bool // the block says that it is the last: others may follow (RFC 7692 section 7.2.3.4)
	stored    int  // bytes of a stored block that are still to come
	length    int  // bytes of a match that are still to come
	distance  int  // of that match
	literals  *literalTable
	distances *distanceTable

	// Of the last block that described its codes.
	ownLiterals  literalTable
	ownDistances distanceTable
}

type blockState uint8

const (
	betweenBlocks blockState = iota
	inStored
	inCodes
	atEnd // of the message
)

// reset makes d begin a message.
func (d *decoder) reset() {
	d.in, d.at, d.bits, d.n = nil, 0, 0, 0
	d.state, d.final, d.stored, d.length = betweenBlocks, false, 0, 0
}

// used returns how many bytes of the message are used.
func (d *decoder) used() int { return d.at - max(d.n, 0)/8 }

// run inflates into out from i on, until out is full, or most is spent, or the
// message is whole; then the state is atEnd. A match may refer back to the first i
// bytes of out, and what w holds is before those. It returns how far out is filled.
func (d *decoder) run(out []byte, i int, w *Window, most Effort) (filled int, spent Effort, err error) {
	for spent < most && err == nil {
		at, from := d.at, i
		switch d.state {
		case betweenBlocks:
			err = d.begin(&spent)
			spent += Effort(d.at-at) * effortIn
			continue
		case inStored:
			i, err = d.copyStored(out, i)
		case inCodes:
			i, err = d.decode(out, i, w, most-spent)
			spent += Effort(d.at-at) * effortIn
		case atEnd:
			return i, spent, nil
		}
		spent += Effort(i-from) / outsPerUnit
		if i == len(out) && d.state != betweenBlocks {
			break
		}
	}
	return i, spent, err
}

// load makes n at least 48, unless the message is at its end.
func (d *decoder) load() {
	if d.at+8 <= len(d.in) {
		d.bits |= binary.LittleEndian.Uint64(d.in[d.at:]) << d.n
		d.at += (63 - d.n) >> 3
		d.n |= 56
		return
	}
	for d.n < 56 && d.at < len(d.in) {
		d.bits |= uint64(d.in[d.at]) << d.n
		d.at++
		d.n += 8
	}
}

// take returns the next k bits, of those that are loaded.
func (d *decoder) take(k int) int {
	v := int(d.bits & (1<<k - 1))
	d.bits >>= k
	d.n -= k
	return v
}

// align goes to the next byte, with nothing loaded, and reports whether there is
// none.
func (d *decoder) align() (ended bool) {
	d.at -= d.n / 8
	d.bits, d.n = 0, 0
	return d.at == len(d.in)
}

// begin reads the header of a block.
func (d *decoder) begin(spent *Effort) error {
	d.load()
	d.final = d.take(1) == 1
	kind := d.take(2)
	*spent += effortBlock
	if d.n < 0 {
		return ErrInvalidDeflate
	}
	d.state = inCodes
	switch kind {
	case 0:
		return d.beginStored()
	case 1:
		d.literals, d.distances = fixedLiterals, fixedDistances
	case 2:
		*spent += effortCodes
		if !d.readCodes() {
			return ErrInvalidDeflate
		}
		d.literals, d.distances = &d.ownLiterals, &d.ownDistances
	default:
		return ErrInvalidDeflate
	}
	return nil
}

// beginStored reads the length of a stored block. If the message ends before it, it
// is the empty block whose length was not sent (RFC 7692 section 7.2.1).
func (d *decoder) beginStored() error {
	if d.align() {
		d.state = atEnd
		return nil
	}
	if d.at+4 > len(d.in) {
		return ErrInvalidDeflate
	}
	length := binary.LittleEndian.Uint16(d.in[d.at:])
	if binary.LittleEndian.Uint16(d.in[d.at+2:]) != ^length {
		return ErrInvalidDeflate
	}
	d.at += 4
	d.stored, d.state = int(length), inStored
	return nil
}

func (d *decoder) copyStored(out []byte, i int) (int, error) {
	n := copy(out[i:], d.in[d.at:min(d.at+d.stored, len(d.in))])
	d.at += n
	d.stored -= n
	switch {
	case d.stored == 0:
		d.endBlock()
	case d.at == len(d.in):
		return i + n, ErrInvalidDeflate
	}
	return i + n, nil
}

func (d *decoder) endBlock() {
	d.state = betweenBlocks
	if d.final && d.align() {
		d.state = atEnd
	}
}

// clenOrder is the order in which the lengths of the codes for code lengths come
// (RFC 1951 section 3.2.7).
var clenOrder = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// readCodes reads the codes that a block describes.
func (d *decoder) readCodes() bool {
	d.load()
	literals, distances, clens := d.take(5)+257, d.take(5)+1, d.take(4)+4
	if literals > 286 || distances > 30 {
		return false
	}
	var lengths [286 + 30]uint8
	for _, symbol := range clenOrder[:clens] {
		d.load()
		lengths[symbol] = uint8(d.take(3))
	}
	var table [1 << clenBits]entry
	if !buildTable(table[:], clenBits, lengths[:19], clenEntries[:]) {
		return false
	}
	clear(lengths[:19])
	return d.readLengths(&table, lengths[:literals+distances]) &&
		buildTable(d.ownLiterals[:], literalBits, lengths[:literals], literalEntries[:]) &&
		buildTable(d.ownDistances[:], distanceBits, lengths[literals:literals+distances], distanceEntries[:])
}

// readLengths reads the lengths of codes, which table has codes for.
func (d *decoder) readLengths(table *[1 << clenBits]entry, lengths []uint8) bool {
	for i := 0; i < len(lengths); {
		d.load()
		e := table[d.bits&(1<<clenBits-1)]
		if e == 0 {
			return false
		}
		d.take(int(e.length()))
		var repeat int
		var length uint8
		switch symbol := e.value(); symbol {
		case 16:
			if i == 0 {
				return false
			}
			repeat, length = 3+d.take(2), lengths[i-1]
		case 17:
			repeat = 3 + d.take(3)
		case 18:
			repeat = 11 + d.take(7)
		default:
			repeat, length = 1, uint8(symbol)
		}
		if repeat > len(lengths)-i || d.n < 0 {
			return false
		}
		for range repeat {
			lengths[i] = length
			i++
		}
	}
	return true
}
