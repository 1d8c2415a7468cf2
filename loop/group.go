package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Backend names what a loop polls with.
type Backend string

const (
	// BackendDefault is bare epoll on Linux and netpoll elsewhere.
	BackendDefault Backend = ""
	// BackendNetpoll is gnet's pkg/netpoll. On Linux it is there in programs built
	// with -tags netpoll only.
	BackendNetpoll Backend = "netpoll"
)

// ErrStopped is returned for work given to a group that has stopped, and is
// what OnClose reports for connections that Stop closed.
var ErrStopped = errors.New("loop: the group is stopped")

// Config says how a group runs. The zero value works.
type Config struct {
	// Loops is the number of loops; 0 means GOMAXPROCS, as it is without what
	// loops added: the CPUs that the process may use, or the limit of its
	// container.
	Loops int
	// KeepGOMAXPROCS leaves GOMAXPROCS alone. By default Start raises it to one
	// more than the loops of all groups in the process: a loop makes system calls
	// without giving up its P, so other goroutines need one to themselves.
	//
	// A value that the environment or the program set stays; if it is too low,
	// Logger says so once. To tell such a value from the runtime's own, Start sets
	// that one for a moment. While GOMAXPROCS is raised, the runtime does not
	// update it (runtime.SetDefaultGOMAXPROCS); after the last loop it is the
	// runtime's default again.
	KeepGOMAXPROCS bool
	// Backend chooses what loops poll with.
	Backend Backend
	// BlockedAfter is how long a loop may stay inside one batch of callbacks
	// before the log says which one is under way, and its stack; 0 means 1 s,
	// negative never. To find out, all goroutines stand still for a moment.
	BlockedAfter time.Duration
	// Budget is how many bytes of memory the connections may hold, see [Use], in
	// equal parts for each loop; 0 means no budget. What exceeds a loop's part has
	// OnOverBudget called on it, which is to close some connections and then to
	// call Relieved. Until then writes to connections that have bytes waiting
	// return ErrBackpressure.
	Budget       int
	OnOverBudget func(l *Loop)
	// IterationBudget is what the events of an iteration of a loop may spend beyond
	// the allowance of each; 0 means half a millisecond. See [Loop.Charge].
	IterationBudget Cost
	// MaxHandshakes is how many TLS handshakes run at a time in the group; 0 means
	// 1024. Each has a goroutine and about 20 KiB, up to 150 KiB if its peer sends
	// much. A server's handshake begins when its ClientHello is whole. More
	// handshakes queue: when one that runs has waited half a second for its peer,
	// the next takes its place. A server's connection ends then with
	// ErrHandshakeShed; a client's handshake goes on.
	MaxHandshakes int
	// Clock tells the time since some moment, never backwards; nil means the
	// monotonic clock. Tests drive it: a loop looks at it when something happens.
	Clock func() time.Duration
	// Logger receives what no call can return; nil means slog.Default().
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Loops <= 0 {
		c.Loops = procs.available()
	}
	if c.MaxHandshakes <= 0 {
		c.MaxHandshakes = defaultMaxHandshakes
	}
	if c.IterationBudget <= 0 {
		c.IterationBudget = iterationBudget
	}
	if c.BlockedAfter == 0 {
		c.BlockedAfter = time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c
}

// Group is a set of loops that share listeners. All methods may be called by
// any goroutine.
type Group struct {
	// Immutable.
	cfg   Config
	start time.Time // monotonic: wall-clock steps do not move timers
	loops []*Loop

	// Of TLS handshakes; set before the loops run.
	places *places
	shed   atomic.Uint64 // handshakes that ended with ErrHandshakeShed
	turns  *turns
	hellos hellos

	conns   pages        // of all loops
	shared  atomic.Int64 // what the Shared cost that connections hold
	panics  Throttle
	accepts Throttle      // of lines about failures to accept
	refused atomic.Uint64 // connections that such failures ended

	next    atomic.Uint32 // round robin over loops
	running sync.WaitGroup
	done    chan struct{} // closed when every loop has ended
	quit    chan struct{} // closed when Stop begins
	once    sync.Once
}

// Start opens the pollers of a group and runs its loops.
func Start(cfg Config) (*Group, error) {
	g := &Group{
		cfg:   cfg.withDefaults(),
		start: time.Now(),
		done:  make(chan struct{}),
		quit:  make(chan struct{}),
	}
	for i := range g.cfg.Loops {
		l, err := newLoop(g, i)
		if err != nil {
			for _, l := range g.loops {
				l.release()
			}
			return nil, fmt.Errorf("loop: start loop %d: %w", i, err)
		}
		g.loops = append(g.loops, l)
	}
	g.run()
	return g, nil
}

// run starts what a group runs.
func (g *Group) run() {
	procs.add(g.cfg.Loops, g.cfg.KeepGOMAXPROCS, g.cfg.Logger)
	g.initTLS()
	for _, l := range g.loops {
		g.running.Add(1)
		go l.run()
	}
	if g.cfg.BlockedAfter > 0 {
		g.running.Go(newWatch(g).run)
	}
	go func() {
		g.running.Wait()
		procs.remove(g.cfg.Loops)
		close(g.done)
	}()
}

// Loops returns the loops of the group, which never change.
func (g *Group) Loops() []*Loop { return g.loops }

// Panics counts the callbacks of the group that did not return, and limits how
// often that is logged. Any goroutine.
func (g *Group) Panics() *Throttle { return &g.panics }

// Done is closed when every loop of the group has ended.
func (g *Group) Done() <-chan struct{} { return g.done }

// Conns returns the number of open connections.
func (g *Group) Conns() int {
	var n int64
	for _, l := range g.loops {
		n += l.conns.Load()
	}
	return int(n)
}

// Stop closes every listener and connection and ends the loops. It waits until
// they have ended or ctx is done. In a callback of the group it does nothing and
// returns ErrInCallback.
func (g *Group) Stop(ctx context.Context) error {
	if g.InCallback() {
		return ErrInCallback
	}
	g.once.Do(func() {
		close(g.quit)
		for _, l := range g.loops {
			_ = l.post(mail{fn: func() { l.stopping = true }}) // ended already: nothing to stop
		}
	})
	select {
	case <-g.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("loop: stop: %w", context.Cause(ctx))
	}
}

// pick returns the loop that gets the next connection.
func (g *Group) pick() *Loop {
	return g.loops[int(g.next.Add(1))%len(g.loops)]
}

// now is the time since the group started.
func (g *Group) now() time.Duration {
	if g.cfg.Clock != nil {
		return g.cfg.Clock()
	}
	return time.Since(g.start)
}
