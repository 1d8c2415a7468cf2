package scenario

import (
	"context"
	"slices"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// contender is a server with its clients, all of them connected and at rest.
type contender interface {
	// work has the clients work for d and waits until every message is answered.
	work(d time.Duration) (load.Window, error)
	// cpu is the CPU time that the server has used since it started; ok is false
	// where that cannot be known.
	cpu() (used time.Duration, ok bool, err error)
}

// rotation has contenders take turns of one slice each. A round goes there and
// back (A B C C B A), so that what changes slowly touches all of them alike, and
// the next one begins with the next contender (B C A A C B), so that each is as
// often in each place.
type rotation struct {
	spec     Spec
	entrants []*entrant
	began    time.Time

	// failed is told of a contender that fails; it returns the error that ends the
	// rotation, or nil to go on without that contender.
	failed func(i int, err error) error
	// turn is told before each slice; round counts from 0.
	turn func(i, round int)
}

// entrant is a contender and what was seen of it.
type entrant struct {
	contender
	rounds []load.Window // of its two slices each, without their latencies
	total  load.Window   // of all its slices
	out    bool          // it failed

	onTurn    time.Duration // wall-clock time
	onTurnCPU time.Duration
	beforeCPU time.Duration // before the first slice
}

// fewestRounds is how many rounds there are however long they take: fewer give no
// interval.
const fewestRounds = 5

// warmUpSlices is how many slices each contender works before the first round: the
// heaps of servers grow and their compilers compile.
const warmUpSlices = 3

// run takes rounds until the time of the rotation is over.
func (r *rotation) run(ctx context.Context) error {
	for i, e := range r.entrants {
		r.turn(i, 0)
		_, err := e.work(warmUpSlices * r.spec.Slice)
		if err == nil {
			e.beforeCPU, err = e.atRest()
		}
		if err = r.note(ctx, i, err); err != nil {
			return err
		}
	}
	r.began = time.Now()
	for n := 0; r.goesOn(n); n++ {
		if err := r.round(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// goesOn says whether there is a contender left, and time for round n, which takes
// as long as those before it.
func (r *rotation) goesOn(n int) bool {
	if !slices.ContainsFunc(r.entrants, func(e *entrant) bool { return !e.out }) {
		return false
	}
	if r.spec.Rounds > 0 {
		return n < r.spec.Rounds
	}
	took := r.lasted()
	return n < fewestRounds || took+took/time.Duration(n) <= r.spec.Time
}

// lasted is the time since the first round began.
func (r *rotation) lasted() time.Duration { return time.Since(r.began) }

// done is the part of the rotation that is over.
func (r *rotation) done(round int) float64 {
	if r.spec.Rounds > 0 {
		return float64(round) / float64(r.spec.Rounds)
	}
	if r.began.IsZero() {
		return 0
	}
	return min(1, float64(r.lasted())/float64(r.spec.Time))
}

// round takes one round there and back. A contender that fails in it has no part in
// it.
func (r *rotation) round(ctx context.Context, n int) error {
	sums := make([]load.Window, len(r.entrants))
	for _, i := range thereAndBack(len(r.entrants), n) {
		e := r.entrants[i]
		if e.out {
			continue
		}
		r.turn(i, n)
		w, err := e.slice(r.spec)
		if err = r.note(ctx, i, err); err != nil {
			return err
		}
		e.total.Append(w)
		w.Latency, w.Last = load.Latency{}, load.Latency{}
		sums[i].Append(w)
	}
	for i, e := range r.entrants {
		if !e.out {
			e.rounds = append(e.rounds, sums[i])
		}
	}
	return nil
}

// thereAndBack is the order of the n contenders in a round.
func thereAndBack(n, round int) []int {
	order := make([]int, 2*n)
	for i := range n {
		order[i] = (round + i) % n
		order[2*n-1-i] = order[i]
	}
	return order
}

// note takes note of what contender i came to.
func (r *rotation) note(ctx context.Context, i int, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		return nil
	}
	r.entrants[i].out = true
	return r.failed(i, err)
}

// slice is one turn of e. Both ends of what is measured are at rest: everything
// sent in it was answered in it, and the CPU time between them was spent on it. The
// work before it does not count; it brings what e needs back into the caches.
func (e *entrant) slice(s Spec) (load.Window, error) {
	began := time.Now()
	before, _, err := e.cpu()
	if err != nil {
		return load.Window{}, err
	}
	if _, err := e.work(s.WarmUp); err != nil {
		return load.Window{}, err
	}
	start, err := e.atRest()
	if err != nil {
		return load.Window{}, err
	}
	w, err := e.work(s.Slice)
	if err != nil {
		return load.Window{}, err
	}
	end, err := e.atRest()
	w.ServerMicros = float64(end-start) / 1e3
	e.onTurn += time.Since(began)
	e.onTurnCPU += end - before
	return w, err
}

// A server rests when it uses less than restShare of the time between two looks.
// One that does not rest within restLooks is measured as it is.
const (
	restLook  = 500 * time.Microsecond
	restLooks = 20
	restShare = 0.02
)

// atRest waits until the server has done what the answered messages left to do, as
// collecting garbage or closing connections, and returns its CPU time.
func (e *entrant) atRest() (time.Duration, error) {
	used, ok, err := e.cpu()
	for look := 0; ok && err == nil && look < restLooks; look++ {
		last := used
		time.Sleep(restLook)
		used, _, err = e.cpu()
		if float64(used-last) < restShare*float64(restLook) {
			break
		}
	}
	return used, err
}

// offTurn is the part of a CPU that e used while it was the turn of others; 0 if it
// is not known.
func (e *entrant) offTurn(all time.Duration) (float64, error) {
	used, ok, err := e.cpu()
	if err != nil || !ok || all <= e.onTurn {
		return 0, err
	}
	return float64(used-e.beforeCPU-e.onTurnCPU) / float64(all-e.onTurn), nil
}
