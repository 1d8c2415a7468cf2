package loop

import (
	"math"
	"time"
)

// alarm runs a function at a time. Owned by the loop.
type alarm struct {
	at time.Duration // since the group started; noAlarm: it is off
	fn func()
}

const noAlarm = time.Duration(math.MaxInt64)

// SetAlarm runs fn on the loop, outside any event, at the moment at of [Loop.Clock] or up to
// a millisecond later. A loop has one alarm: a call replaces the one before, and nil takes it
// back. Unlike the timer of a connection it is not rounded to ticks. Loop only.
func (l *Loop) SetAlarm(at time.Duration, fn func()) {
	if fn == nil {
		at = noAlarm
	}
	l.alarm = alarm{at, fn}
	l.turnAt(at)
}

// soundAlarm posts the function of the alarm if its time has come.
func (l *Loop) soundAlarm() {
	if l.alarm.at > l.now {
		return
	}
	fn := l.alarm.fn
	l.alarm = alarm{at: noAlarm}
	_ = l.Do(fn) // ErrStopped: the loop has ended
}

// wait returns how long after [Loop.Now] the next timer or alarm is due; negative if there is
// none.
func (l *Loop) wait() time.Duration {
	wait := l.wheel.wait(l.now)
	if l.alarm.at == noAlarm {
		return wait
	}
	left := max(0, l.alarm.at-l.now)
	if wait < 0 {
		return left
	}
	return min(wait, left)
}
