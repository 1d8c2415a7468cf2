package service

import (
	"sync/atomic"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/timing"
)

// counts are what a node has done. Any goroutine.
type counts struct {
	errors    map[protocol.Code]*atomic.Uint64 // immutable map; answered to commands
	closings  map[protocol.Code]*atomic.Uint64 // immutable map; last frames of connections
	commands  atomic.Uint64
	stored    timing.Counter // publishes, the repeated ones too
	repeated  atomic.Uint64
	unstored  atomic.Uint64
	read      timing.Counter // pages of history
	unread    atomic.Uint64
	overloads atomic.Uint64 // questions that the crew had no place for
}

func newCounts() *counts {
	c := &counts{errors: make(map[protocol.Code]*atomic.Uint64), closings: make(map[protocol.Code]*atomic.Uint64)}
	for _, code := range protocol.Codes() {
		c.errors[code], c.closings[code] = new(atomic.Uint64), new(atomic.Uint64)
	}
	return c
}

// sent counts a frame to one client.
func (c *counts) sent(f protocol.Frame) {
	switch f := f.(type) {
	case *protocol.Error:
		count(c.errors, f.Code)
	case *protocol.Closing:
		count(c.closings, f.Code)
	}
}

func count(of map[protocol.Code]*atomic.Uint64, code protocol.Code) {
	if n := of[code]; n != nil {
		n.Add(1)
	}
}

func valuesAt(of map[protocol.Code]*atomic.Uint64) map[protocol.Code]uint64 {
	all := make(map[protocol.Code]uint64, len(of))
	for code, n := range of {
		all[code] = n.Load()
	}
	return all
}
