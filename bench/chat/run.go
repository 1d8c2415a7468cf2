package chat

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
	"github.com/fanloop-go/fanloop/bench/scenario"
)

// Result is what a run measured. That of a failed run has what was seen until the failure.
type Result struct {
	Figures report.Round `json:"figures"`
	Latency load.Latency `json:"latency"` // of each delivery, from the time the publish was due
	Faults  Faults       `json:"faults,omitzero"`
	Notes   []string     `json:"notes,omitempty"` // unplanned events that do not fail the run
}

// settled is the pause before the memory of the service is read.
const settled = time.Second

// run is the state of one call of Run.
type run struct {
	*crowd
	show  func(string)
	round report.Round

	from, to moment
}

// moment has the counters and the CPU time of both sides at one time.
type moment struct {
	at          int64
	deliveries  int
	server, own time.Duration
}

// Run measures the service at c.URL. It calls show with a line of progress. Its error is a
// *FaultError if the service lost, repeated, reordered or damaged a message.
func Run(ctx context.Context, c Config, show func(string)) (*Result, error) {
	w, err := newCrowd(ctx, c, strconv.FormatUint(rand.Uint64()>>32, 36))
	if err != nil {
		return nil, err
	}
	defer w.close()
	r := &run{crowd: w, show: show, round: make(report.Round)}
	err = r.measure(ctx)
	result := &Result{Figures: r.round}
	ended := w.do(func() {
		if err == nil {
			r.settle()
		}
		r.count()
		result.Latency, result.Faults, result.Notes = w.figures.delivery, w.ledger.faults, w.figures.notes
	})
	if err == nil {
		err = ended
	}
	if err == nil {
		err = result.Faults.Err()
	}
	return result, err
}

// measure carries out the phases of the run.
func (r *run) measure(ctx context.Context) error {
	if err := r.giveBack(ctx); err != nil {
		return err
	}
	before, err := r.memory(ctx)
	if err != nil {
		return err
	}
	if err := r.connect(ctx); err != nil {
		return err
	}
	if err := r.weigh(ctx, before); err != nil {
		return err
	}
	return r.speak(ctx)
}

// weigh measures the memory that all users together take.
func (r *run) weigh(ctx context.Context, before memory) error {
	if before == (memory{}) {
		return nil // neither PID nor Admin is set
	}
	if err := r.pause(ctx, settled); err != nil {
		return err
	}
	after, err := r.memory(ctx)
	after.addTo(r.round, before, r.config.Users)
	if err != nil || !r.config.GivesBack {
		return err
	}
	if err := r.giveBack(ctx); err != nil {
		return err
	}
	given, err := scenario.ResidentBytes(r.config.PID)
	r.round["rss_conn_given"] = (float64(given) - before.rss) / float64(r.config.Users)
	return err
}

// giveBack makes the service return freed memory to the system, if it can.
func (r *run) giveBack(ctx context.Context) error {
	if !r.config.GivesBack {
		return nil
	}
	if err := scenario.GiveBack(r.config.PID); err != nil {
		return err
	}
	return r.pause(ctx, settled)
}

// connect connects all users.
func (r *run) connect(ctx context.Context) error {
	began := r.now()
	if err := r.do(func() {
		for range min(r.config.Opening, r.config.Users) {
			r.dialNext()
		}
	}); err != nil {
		return err
	}
	open := func() int { return r.open }
	err := r.until(ctx, open, func() bool { return r.open == len(r.users) }, func(n int) string {
		return fmt.Sprintf("connect: %d of %d users", n, len(r.users))
	})
	if err == errSilent {
		return fmt.Errorf("%d of %d users are connected and no more were for %v: is the service's limit of open files high enough?", r.openUsers(), len(r.users), r.config.Deadline)
	}
	r.round["open_rate"] = float64(r.config.Users) / (float64(r.now()-began) / 1e9)
	return err
}

func (r *run) openUsers() (n int) {
	_ = r.do(func() { n = r.open }) // 0 if the loop has ended
	return n
}

// speak carries out the plan, and waits until everything is delivered.
func (r *run) speak(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	over := make(chan struct{})
	if err := r.do(r.begin); err != nil {
		cancel()
		return err
	}
	go r.pace(ctx, over)
	defer func() { cancel(); <-over }()
	if err := r.pause(ctx, r.config.WarmUp); err != nil {
		return err
	}
	if err := r.note(&r.from); err != nil {
		return err
	}
	seen := func() int { return r.figures.deliveries + r.figures.acks + r.open }
	err := r.until(ctx, seen, r.complete, func(int) string { return r.progress() })
	if err == errSilent {
		err = nil // settle counts what is missing
	}
	if noted := r.note(&r.to); err == nil {
		err = noted
	}
	return err
}

// complete reports whether the whole plan was carried out and each delivery came or is known to
// be missing. Loop only.
func (r *run) complete() bool {
	faults := &r.ledger.faults
	known := r.figures.deliveries + faults.Missing + faults.Disordered
	return r.talk.next == len(r.plan.events) && known >= r.plan.deliveries() &&
		r.figures.acks == len(r.plan.sent) && r.open == len(r.users)
}

func (r *run) progress() string {
	f := &r.figures
	return fmt.Sprintf("talk: %d of %d messages, %d deliveries, p99 %v", f.acks, len(r.plan.sent), f.deliveries,
		time.Duration(f.delivery.At(0.99)).Round(time.Millisecond/10))
}

// note reads the counters and clocks, on the loop so that they belong together.
func (r *run) note(m *moment) error {
	var err error
	if ended := r.do(func() {
		m.at, m.deliveries = r.now(), r.figures.deliveries
		if r.config.PID != 0 && load.HasProcessCPU {
			m.server, err = load.ProcessCPU(r.config.PID)
		}
		if load.HasProcessCPU {
			m.own, _ = load.ProcessCPU(os.Getpid()) // this process exists
		}
	}); ended != nil {
		return ended
	}
	return err
}

// shortestNap bounds how often the loop is woken for the plan. Events that are due by then are
// carried out together; each publish keeps its own due time.
const shortestNap = 200 * time.Microsecond

// pace has the loop carry out the plan, event by event. It closes over when it returns.
func (r *run) pace(ctx context.Context, over chan<- struct{}) {
	defer close(over)
	for {
		var wait time.Duration
		if r.do(func() { wait = r.act() }) != nil || wait == 0 {
			return
		}
		if pause(ctx, max(wait, shortestNap)) != nil {
			return
		}
	}
}

// until waits until met returns true. Its error is that of the run or of ctx, or errSilent if
// seen returned the same number for the whole deadline. All functions are called on the loop.
func (r *run) until(ctx context.Context, seen func() int, met func() bool, text func(int) string) error {
	last, changed := -1, time.Now()
	for {
		n, over, line := 0, false, ""
		if err := r.do(func() { n, over = seen(), met(); line = text(n) }); err != nil {
			return err
		}
		r.show(line)
		if n != last || r.waits() {
			last, changed = n, time.Now()
		}
		switch {
		case over:
			return nil
		case time.Since(changed) > r.config.Deadline:
			return errSilent
		}
		if err := r.pause(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// waits reports whether the plan has events left. Until then silence is not a fault.
func (r *run) waits() (more bool) {
	_ = r.do(func() { more = r.talk.start > 0 && r.talk.next < len(r.plan.events) }) // false if the loop has ended
	return more
}

var errSilent = fmt.Errorf("nothing more comes")

// pause waits for d, or until the run fails.
func (r *run) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-r.failed:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// settle counts what was not delivered. Loop only.
func (r *run) settle() {
	views := make([][]view, len(r.users))
	for i := range r.users {
		views[i] = r.users[i].views
	}
	r.ledger.settle(views)
}

// count turns the counters into figures. Loop only.
func (r *run) count() {
	f, round := &r.figures, r.round
	n := float64(r.to.deliveries - r.from.deliveries)
	if seconds := float64(f.last-r.from.at) / 1e9; n > 0 && seconds > 0 {
		round["rate"] = n / seconds
	}
	if seconds := float64(r.to.at-r.from.at) / 1e9; n > 0 && seconds > 0 && load.HasProcessCPU {
		own := float64(r.to.own - r.from.own)
		round["client_us"], round["client_cpu"] = own/1e3/n, own/1e9/seconds
		if r.config.PID != 0 {
			server := float64(r.to.server - r.from.server)
			round[report.CPU], round["server_cpu"] = server/1e3/n, server/1e9/seconds
		}
	}
	round["reach"] = float64(f.deliveries) / float64(r.plan.deliveries())
	round["messages"], round["deliveries"] = float64(f.acks), float64(f.deliveries)
	for key, n := range map[string]int{
		"cut_off": f.cuts, "recovered": f.recovered, "ended": f.ended, "retries": f.retries, "repeated": f.duplicates,
	} {
		if n > 0 {
			round[key] = float64(n)
		}
	}
	quantiles(round, "", &f.delivery, 0.5, 0.9, 0.99, 0.999)
	quantiles(round, "ack_", &f.ack, 0.5, 0.99)
	quantiles(round, "join_", &f.connected, 0.5, 0.99)
	quantiles(round, "resume_", &f.resumed, 0.5, 0.99)
	quantiles(round, "page_", &f.history, 0.5, 0.99)
	quantiles(round, "late_", &f.late, 0.99)
	if f.delivery.Count() > 0 {
		round["max_ns"] = float64(f.delivery.Max())
	}
}

// quantiles adds the figures prefix + "p50_ns" and so on.
func quantiles(round report.Round, prefix string, l *load.Latency, all ...float64) {
	if l.Count() == 0 {
		return
	}
	for _, q := range all {
		key := "p" + strconv.FormatFloat(100*q, 'f', -1, 64)
		if q == 0.999 {
			key = "p999"
		}
		round[prefix+key+"_ns"] = float64(l.At(q))
	}
}
