package loop

import (
	"log/slog"
	"sync"
	"testing"
	"time"
)

// observed is a group of one loop whose poller is watched.
type observed struct {
	*Group
	poller *countingPoller
}

// countingPoller counts what goes through the seam.
type countingPoller struct {
	poller
	pollHandler
	mu    sync.Mutex
	ready map[int]int // events by descriptor
	mods  map[int]int // changes of interest by descriptor
	wakes int
}

func (p *countingPoller) run(h pollHandler) error {
	p.pollHandler = h
	return p.poller.run(countingHandler{h, p})
}

func (p *countingPoller) wake() {
	p.mu.Lock()
	p.wakes++
	p.mu.Unlock()
	p.poller.wake()
}

func (p *countingPoller) mod(fd int, had, want interest) error {
	p.mu.Lock()
	p.mods[fd]++
	p.mu.Unlock()
	return p.poller.mod(fd, had, want)
}

func (p *countingPoller) modCount(fd int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mods[fd]
}

func (p *countingPoller) readyCount(fd int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready[fd]
}

func (p *countingPoller) wakeCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.wakes
}

type countingHandler struct {
	pollHandler
	p *countingPoller
}

func (h countingHandler) ready(fd int, ev interest) {
	h.p.mu.Lock()
	h.p.ready[fd]++
	h.p.mu.Unlock()
	h.pollHandler.ready(fd, ev)
}

// startObserved is start with the poller wrapped before it runs.
func startObserved(t *testing.T, b Backend) observed {
	t.Helper()
	g := &Group{
		cfg:   Config{Loops: 1, Backend: b, BlockedAfter: -1, Logger: slog.New(slog.DiscardHandler)}.withDefaults(),
		start: time.Now(),
		done:  make(chan struct{}),
		quit:  make(chan struct{}),
	}
	l, err := newLoop(g, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &countingPoller{poller: l.poller, ready: make(map[int]int), mods: make(map[int]int)}
	l.poller = p
	g.loops = []*Loop{l}
	g.run()
	t.Cleanup(func() { stop(t, g) })
	return observed{g, p}
}
