package fanout

import "time"

// append makes msg pending.
func (f *fan) append(p *part, msg Message) {
	if last := len(f.spare) - 1; p.pending == nil && last >= 0 {
		p.pending, f.spare = f.spare[last], f.spare[:last]
	}
	if len(p.pending)+len(p.inflight) == 0 {
		p.at = int32(len(f.loaded))
		f.loaded = append(f.loaded, p)
	}
	f.count(&msg)
	p.pending = append(p.pending, msg)
	p.weight += msg.weight()
	f.busy.Store(true)
	if len(p.pending) == 1 && p.nextGap == 0 { // with a gap it is due already
		f.schedule(p)
	} else {
		f.hasten(p)
	}
}

// unload notes that p has no messages any more.
func (f *fan) unload(p *part) {
	last := len(f.loaded) - 1
	moved := f.loaded[last]
	f.loaded[p.at], moved.at = moved, p.at
	f.loaded[last] = nil
	f.loaded = f.loaded[:last]
}

// schedule makes p due: at once, after the delay of its topic, or with its group.
func (f *fan) schedule(p *part) {
	if p.rules == nil || p.rules.FlushEvery == 0 {
		if !f.holds(p) {
			f.enqueue(p)
		}
		return
	}
	p.delay = time.AfterFunc(p.rules.FlushEvery, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		p.delay = nil
		f.enqueue(p)
	})
}

// reschedule makes the delay of p, which has changed, count for what is pending.
func (f *fan) reschedule(p *part) {
	if p.delay != nil && p.delay.Stop() { // otherwise it is over already
		p.delay = nil
		f.schedule(p)
	}
}

func (f *fan) enqueue(p *part) {
	f.due = append(f.due, p)
	if !f.posted {
		f.posted = true
		_ = f.loop.Do(f.flush) // an error: the loop has ended, with its connections
	}
}
