package engine

import (
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

var (
	addrA = netip.MustParseAddr("192.0.2.1")
	addrB = netip.MustParseAddr("192.0.2.2")
)

// askedPool is a pool whose questions tell when they are asked, and wait for their
// answer.
type askedPool struct {
	*upgradePool
	t       *testing.T
	asked   chan string
	answer  chan struct{} // one for each
	refused chan string
}

func newAskedPool(t *testing.T, workers int) *askedPool {
	return &askedPool{newUpgradePool(workers), t, make(chan string, 8192), make(chan struct{}), make(chan string, 8192)}
}

// put adds a question with a name. left: its peer is.
func (p *askedPool) put(from netip.Addr, name string, gone bool) *question {
	q := &question{
		from:   from,
		left:   func() bool { return gone },
		ask:    func() { p.asked <- name; <-p.answer },
		refuse: func(error) { p.refused <- name },
	}
	p.add(q)
	return q
}

// next is the name of the next one that is asked.
func (p *askedPool) next() string {
	p.t.Helper()
	select {
	case name := <-p.asked:
		return name
	case <-time.After(30 * time.Second):
		p.t.Fatal("nobody is asked")
		return ""
	}
}

// rest answers the one that is asked, and returns whoever comes after it, one after
// the other.
func (p *askedPool) rest(n int) (names []string) {
	for range n {
		p.answer <- struct{}{}
		names = append(names, p.next())
	}
	p.answer <- struct{}{}
	p.wantEmpty()
	return names
}

func (p *askedPool) wantEmpty() {
	p.t.Helper()
	for range 30_000 {
		p.mu.Lock()
		empty := p.running == 0 && p.waiting.Len() == 0 && p.turns.Len() == 0 && len(p.lines) == 0
		p.mu.Unlock()
		if empty {
			return
		}
		time.Sleep(time.Millisecond)
	}
	p.t.Fatal("something is left in the pool")
}

// R-a: the newest first while more wait than can be asked, so that who comes now
// does not wait for those that have left; the oldest first otherwise.
func TestUpgradePoolAsksTheNewestUnderPressure(t *testing.T) {
	p := newAskedPool(t, 2)
	p.put(addrA, "first", false)
	if got := p.next(); got != "first" {
		t.Fatal(got)
	}
	for _, name := range []string{"1", "2", "3", "4", "5"} {
		p.put(addrA, name, false)
	}
	if got := p.rest(5); !slices.Equal(got, []string{"5", "4", "3", "1", "2"}) {
		t.Errorf("asked %q", got)
	}
}

// R-a: those that have left are not asked, whether it is known before or seen then.
func TestUpgradePoolSkipsWhoHasLeft(t *testing.T) {
	p := newAskedPool(t, 2)
	p.put(addrA, "first", false)
	p.next()
	var left []*question
	for range 100 {
		left = append(left, p.put(addrA, "removed", false))
		p.put(addrA, "gone", true)
	}
	p.put(addrA, "honest", false)
	for _, q := range left {
		p.remove(q)
		p.remove(q) // once is enough
	}
	if got := p.rest(1); !slices.Equal(got, []string{"honest"}) {
		t.Errorf("asked %q", got)
	}
}

// R-a: one address has half of the goroutines at most, others get theirs at once.
func TestUpgradePoolSharesByAddress(t *testing.T) {
	p := newAskedPool(t, 4)
	for range 50 {
		p.put(addrA, "A", false)
	}
	for range 2 {
		if got := p.next(); got != "A" {
			t.Fatal(got)
		}
	}
	for range 3 { // one more than are free
		p.put(addrB, "B", false)
	}
	for range 2 {
		if got := p.next(); got != "B" {
			t.Fatalf("%q is asked though A has its share", got)
		}
	}
	p.mu.Lock()
	if a, b := p.lines[addrA].running, p.lines[addrB].running; a != 2 || b != 2 {
		t.Errorf("%d of A, %d of B are asked", a, b)
	}
	p.mu.Unlock()
	close(p.answer)
	for range 50 - 2 + 3 - 2 {
		p.next()
	}
	p.wantEmpty()
}

// Who has no address, behind a unix socket, may have them all.
func TestUpgradePoolWithoutAddresses(t *testing.T) {
	p := newAskedPool(t, 4)
	for range 4 {
		p.put(netip.Addr{}, "proxy", false)
		p.next()
	}
	for range 4 {
		p.answer <- struct{}{}
	}
	p.wantEmpty()
}

// Without room the oldest is refused: of the address that fills its part, or of all.
func TestUpgradePoolRefusesTheOldest(t *testing.T) {
	p := newAskedPool(t, 2)
	p.put(addrB, "other", false)
	p.put(addrA, "asked", false)
	p.next()
	p.next()
	p.put(addrB, "oldest of all", false)
	p.put(addrA, "oldest", false)
	for range maxWaitingOfOne {
		p.put(addrA, "A", false)
	}
	if got := <-p.refused; got != "oldest" || len(p.refused) > 0 {
		t.Errorf("%q and %d more were refused, want the oldest of the address", got, len(p.refused))
	}
	for i := range maxUpgradesWaiting - maxWaitingOfOne {
		p.put(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), "C", false)
	}
	if got := <-p.refused; got != "oldest of all" || len(p.refused) > 0 {
		t.Errorf("%q and %d more were refused, want the oldest of all", got, len(p.refused))
	}
	p.mu.Lock()
	if n := p.waiting.Len(); n != maxUpgradesWaiting {
		t.Errorf("%d wait, want %d", n, maxUpgradesWaiting)
	}
	p.mu.Unlock()
	close(p.answer)
	p.wantEmpty()
}

// A question that never returns costs its goroutine, not the place of others.
func TestUpgradePoolOutlivesGoexit(t *testing.T) {
	p := newAskedPool(t, 1)
	for range 10 {
		p.add(&question{from: addrA, left: func() bool { return false }, ask: runtime.Goexit})
	}
	p.put(addrA, "last", false)
	p.next()
	p.answer <- struct{}{}
	p.wantEmpty()
}

func TestUpgradePoolUnderLoad(t *testing.T) {
	p := newUpgradePool(8)
	var asked, all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			for j := range 200 {
				asked.Add(1)
				done := sync.OnceFunc(asked.Done)
				q := &question{
					from:   netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 5)}),
					left:   func() bool { done(); return j%3 == 0 },
					ask:    done,
					refuse: func(error) { done() },
				}
				p.add(q)
				if j%4 == 0 {
					p.remove(q)
					done()
				}
			}
		})
	}
	all.Wait()
	asked.Wait()
	(&askedPool{upgradePool: p, t: t}).wantEmpty()
}

func TestShareOfAPeer(t *testing.T) {
	for peer, want := range map[string]string{
		"192.0.2.1:80":           "192.0.2.1",
		"[::ffff:192.0.2.1]:80":  "192.0.2.1",
		"[2001:db8::1:2]:80":     "2001:db8::",
		"[2001:db8::ffff:1%1]:1": "2001:db8::",
	} {
		addr, err := net.ResolveTCPAddr("tcp", peer)
		if err != nil {
			t.Fatal(err)
		}
		if got := shareOf(addr); got.String() != want {
			t.Errorf("%s: %v, want %s", peer, got, want)
		}
	}
	if shareOf(&net.UnixAddr{Name: "@"}).IsValid() || shareOf(nil).IsValid() {
		t.Error("who has no address has a share")
	}
}
