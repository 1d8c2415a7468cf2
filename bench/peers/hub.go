package main

import (
	"bytes"
	"sync"
)

// isPublish reports whether message goes to every client instead of back.
func isPublish(message []byte) bool { return len(message) > 0 && message[0] == 'B' }

// A hub is everybody who is connected, in a dense array. Its methods may be
// called from any goroutine.
type hub[C comparable] struct {
	mu    sync.RWMutex
	conns []C
	place map[C]int // index in conns
}

func newHub[C comparable]() *hub[C] { return &hub[C]{place: make(map[C]int)} }

func (h *hub[C]) join(c C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.place[c] = len(h.conns)
	h.conns = append(h.conns, c)
}

// leave takes c out. One that never joined is ignored.
func (h *hub[C]) leave(c C) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i, joined := h.place[c]
	if !joined {
		return
	}
	var none C
	last := len(h.conns) - 1
	h.conns[i] = h.conns[last]
	h.place[h.conns[i]] = i
	h.conns[last] = none
	h.conns = h.conns[:last]
	delete(h.place, c)
}

// each calls deliver for everybody. deliver must not block, join or leave.
func (h *hub[C]) each(deliver func(C)) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, c := range h.conns {
		deliver(c)
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// borrowBuffer returns an empty buffer. It belongs to the caller until it is
// put into buffers.
func borrowBuffer() *bytes.Buffer {
	b := buffers.Get().(*bytes.Buffer)
	b.Reset()
	return b
}
