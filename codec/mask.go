package codec

import (
	"crypto/rand"
	"sync"
)

// keyBlock is a supply of mask keys, drawn at once to spare a system call per
// frame. It belongs to one caller between Get and Put.
type keyBlock struct {
	random [1024]byte
	used   int
}

var keyBlocks = sync.Pool{New: func() any { return &keyBlock{used: len(keyBlock{}.random)} }}

// NewMaskKey returns a mask key nobody can foretell; a client must use a fresh
// one for each frame (RFC 6455 section 5.3). Keys come from crypto/rand, drawn in
// blocks. Any goroutine may call it.
func NewMaskKey() [4]byte {
	block := keyBlocks.Get().(*keyBlock)
	if block.used == len(block.random) {
		rand.Read(block.random[:]) // it never fails: it ends the program instead
		block.used = 0
	}
	key := [4]byte(block.random[block.used:])
	block.used += len(key)
	keyBlocks.Put(block)
	return key
}
