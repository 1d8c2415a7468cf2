package pull

import "github.com/fanloop-go/fanloop/engine"

// MaxWaiting is how many bytes wait for the reader of a Conn before it pauses reading.
// Each piece of a message counts 64 more.
const MaxWaiting = 64 << 10

// holdStep is from how many bytes on a difference is counted by Hold.
const holdStep = 4 << 10

// pieceCost is what a piece takes besides its bytes.
const pieceCost = 64

// keptPieces is the room that an empty inbox keeps.
const keptPieces = 4

// piece is a message, or a part of one. It owns its bytes.
type piece struct {
	data []byte
	op   engine.OpCode // of the message
	fin  bool          // the message ends with it
}

// inbox is the pieces that wait for the reader, oldest first.
type inbox struct {
	pieces []piece
	first  int // those before it are taken
	size   int // bytes, with pieceCost for each piece
}

func (b *inbox) empty() bool { return b.first == len(b.pieces) }

func (b *inbox) push(p piece) {
	if len(b.pieces) == cap(b.pieces) && b.first > len(b.pieces)/2 {
		n := copy(b.pieces, b.pieces[b.first:])
		clear(b.pieces[n:])
		b.pieces, b.first = b.pieces[:n], 0
	}
	b.pieces = append(b.pieces, p)
	b.size += len(p.data) + pieceCost
}

// pop takes the oldest piece. There is one.
func (b *inbox) pop() piece {
	p := b.pieces[b.first]
	b.pieces[b.first] = piece{}
	b.first++
	b.size -= len(p.data) + pieceCost
	if b.empty() {
		b.pieces, b.first = b.pieces[:0], 0
		if cap(b.pieces) > keptPieces {
			b.pieces = nil
		}
	}
	return p
}

// unpop puts p back before all others.
func (b *inbox) unpop(p piece) {
	if b.first > 0 {
		b.first--
		b.pieces[b.first] = p
	} else {
		b.pieces = append([]piece{p}, b.pieces...)
	}
	b.size += len(p.data) + pieceCost
}
