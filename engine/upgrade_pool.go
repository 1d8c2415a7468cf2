package engine

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"sync"

	"github.com/fanloop-go/fanloop/handshake"
)

// upgradePool runs ShouldUpgrade for Server.BlockingUpgrade, on as many goroutines as
// there are questions, up to workers.
//
// Whoever waits may leave, or be made to: addresses take turns, none has more than
// half of the goroutines, and of one address the oldest question is answered first
// until more wait than there are goroutines, and then the newest, whose peer is the
// likeliest to be there still. When there is no room, the oldest one is refused.
type upgradePool struct {
	workers int // immutable

	mu      sync.Mutex
	running int
	waiting *list.List // of *question; all, the oldest first
	lines   map[netip.Addr]*line
	turns   *list.List // of *line; those that may be served
}

// line is the questions of one address. Guarded by the mutex of the pool.
type line struct {
	from    netip.Addr
	waiting list.List // of *question, the oldest first
	running int
	turn    *list.Element // in turns; nil: nothing waits, or its share is used up
}

// question is a request that waits for ShouldUpgrade.
type question struct {
	from   netip.Addr  // whose share it uses; the zero Addr: none
	left   func() bool // reports whether the peer has left
	ask    func()      // runs ShouldUpgrade
	refuse func(error) // is called instead if there is no room

	// Guarded by the mutex of the pool; nil: it does not wait.
	line   *line
	inLine *list.Element
	inAll  *list.Element
}

const (
	defaultUpgradeWorkers = 128
	maxUpgradesWaiting    = 4096
	maxWaitingOfOne       = maxUpgradesWaiting / 4 // of an address
)

var errTooManyUpgrades = handshake.Reject(http.StatusServiceUnavailable, "too many handshakes are waiting")

func newUpgradePool(workers int) *upgradePool {
	setDefault(&workers, defaultUpgradeWorkers)
	return &upgradePool{
		workers: workers,
		waiting: list.New(),
		lines:   make(map[netip.Addr]*line),
		turns:   list.New(),
	}
}

// add puts q at the end of its line. Any goroutine.
func (p *upgradePool) add(q *question) {
	p.mu.Lock()
	l := p.lines[q.from]
	if l == nil {
		l = &line{from: q.from}
		p.lines[q.from] = l
	}
	var refused *question
	switch {
	case q.from.IsValid() && l.waiting.Len() >= maxWaitingOfOne:
		refused = l.waiting.Front().Value.(*question)
	case p.waiting.Len() >= maxUpgradesWaiting:
		refused = p.waiting.Front().Value.(*question)
	}
	q.line, q.inLine, q.inAll = l, l.waiting.PushBack(q), p.waiting.PushBack(q)
	if refused != nil {
		p.removeLocked(refused)
	}
	p.turnLocked(l)
	p.startLocked()
	p.mu.Unlock()
	if refused != nil {
		refused.refuse(errTooManyUpgrades)
	}
}

// remove takes q out, if it still waits: its answer is not needed. Any goroutine.
func (p *upgradePool) remove(q *question) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q.inLine != nil {
		p.removeLocked(q)
	}
}

func (p *upgradePool) removeLocked(q *question) {
	q.line.waiting.Remove(q.inLine)
	p.waiting.Remove(q.inAll)
	q.inLine, q.inAll = nil, nil
	p.turnLocked(q.line)
}

// turnLocked puts l among those that may be served, or takes it out, and forgets it
// when it is empty.
func (p *upgradePool) turnLocked(l *line) {
	share := p.workers
	if l.from.IsValid() {
		share = max(1, p.workers/2)
	}
	switch may := l.waiting.Len() > 0 && l.running < share; {
	case may && l.turn == nil:
		l.turn = p.turns.PushBack(l)
	case !may && l.turn != nil:
		p.turns.Remove(l.turn)
		l.turn = nil
	}
	if l.waiting.Len() == 0 && l.running == 0 {
		delete(p.lines, l.from)
	}
}

// startLocked starts what may be.
func (p *upgradePool) startLocked() {
	for p.running < p.workers && p.turns.Len() > 0 {
		l := p.turns.Front().Value.(*line)
		p.turns.MoveToBack(l.turn)
		next := l.waiting.Front()
		if p.waiting.Len() > p.workers {
			next = l.waiting.Back()
		}
		q := next.Value.(*question)
		p.running++
		l.running++
		p.removeLocked(q)
		go p.run(q)
	}
}

// run answers q, unless its peer has left.
func (p *upgradePool) run(q *question) {
	defer p.done(q)
	if !q.left() {
		q.ask()
	}
}

func (p *upgradePool) done(q *question) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	q.line.running--
	p.turnLocked(q.line)
	p.startLocked()
}

// shareOf is the address whose share a peer uses: of IPv6 the network, since one
// peer may have as many addresses as it likes there. A unix socket has none.
func shareOf(peer net.Addr) netip.Addr {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if addr.Is6() {
		network, _ := addr.Prefix(64) // which every IPv6 address has
		return network.Addr()
	}
	return addr
}
