package loop

// Cost is work that a loop does, in about nanoseconds of its time. It is reckoned
// from what the work consists of and not measured, so it is the same on a busy
// machine.
type Cost int64

// A loop divides its time by cost. Every event may spend its allowance, whatever
// others do: what is cheap never waits. More than that comes from the budget of the
// iteration. When that is spent, or somebody waits for a turn, an event puts the
// rest of its work off with Defer, and those who wait get their turns one after the
// other, behind the events of each iteration.
const (
	eventAllowance  Cost = 32 << 10
	iterationBudget Cost = 512 << 10 // of all events, beyond their allowances
	// eventLimit is where work is put off that is seldom worth it: what was
	// received is copied, and the poller changed.
	eventLimit Cost = 256 << 10
)

// costDecrypted is the cost of a byte that was decrypted.
const costDecrypted Cost = 1

// meter is what an iteration may still spend, and what its events do. Owned by the
// loop.
type meter struct {
	budget Cost // of an iteration; immutable
	left   Cost // of it
	spent  Cost // by the event under way
	taken  bool // the event under way is a turn
}

// Charge adds work of the event under way. Loop only.
func (l *Loop) Charge(cost Cost) { l.Spend(cost) }

// Left is what the event under way may still spend. At 0 it is to put off the rest
// of its work, unless that is very cheap: then ask Spend. Loop only.
func (l *Loop) Left() Cost {
	left := max(0, eventAllowance-l.meter.spent)
	if l.first() {
		left += max(0, l.meter.left)
	}
	return left
}

// Spend is Charge for work in small parts. It reports whether the event may go on:
// for longer than Left says, as putting off has a cost too. Loop only.
func (l *Loop) Spend(cost Cost) bool {
	l.meter.spent += cost
	return l.meter.spent <= eventAllowance || l.overspend(cost)
}

// overspend is Spend beyond the allowance of the event.
func (l *Loop) overspend(cost Cost) bool {
	m := &l.meter
	if l.first() {
		m.left -= min(m.spent-eventAllowance, cost)
	}
	return m.spent < eventLimit || l.Left() > 0
}

// EndTurn says that what the turn under way was for is done: from now on it is as
// any event. Loop only.
func (l *Loop) EndTurn() { l.meter.taken = false }

// KeepsTurns reports whether KeepTurn would do so for the event under way. Loop only.
func (l *Loop) KeepsTurns() bool { return l.first() }

// first says that nobody waits for a turn before the event under way.
func (l *Loop) first() bool { return l.meter.taken || l.waiting.empty() }

// begin starts to count what an event spends.
func (m *meter) begin() { m.spent, m.taken = 0, false }
