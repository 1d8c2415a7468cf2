package loop

import (
	"math/bits"
	"time"
)

const (
	// tickLength is the resolution of timers: a timer fires at most this much
	// late, never early.
	tickLength = 16 * time.Millisecond
	wheelSlots = 512
)

// links are a connection's place in the wheel of its loop: its neighbours in the list of a
// slot, by descriptor plus one; 0: none. As pointers they would take twice the room.
type links struct{ prev, next int32 }

// timerState is where the timer of a connection is. Owned by the loop.
type timerState uint8

const (
	timerOff   timerState = iota
	timerArmed            // in the wheel
	timerDue              // it expired in the current sweep; OnTimer has not run yet
)

// maxTimer is what fits into due with room to compare.
const maxTimer = 365 * 24 * time.Hour

// wheel holds at most one timer per connection, without allocation: slot t
// mod wheelSlots is a list of the connections due at tick t or a multiple of
// the wheel later. Owned by the loop.
type wheel struct {
	table    *connTable // finds a connection by its links
	cursor   int64      // every tick up to this one has been swept
	slots    [wheelSlots]int32
	occupied [wheelSlots / 64]uint64
	due      []*Conn // of the sweep that is under way
	rung     int     // of due, those whose OnTimer was called
}

func ticksUp(d time.Duration) int64 { return int64((d + tickLength - 1) / tickLength) }

// arm makes c, which is in the table, due at the moment at (in time since the group started, at most
// maxTimer from now), replacing an earlier arm.
func (w *wheel) arm(c *Conn, at time.Duration) {
	due := uint32(max(ticksUp(at), w.cursor+1))
	if c.timed == timerArmed {
		if c.due == due {
			return
		}
		w.disarm(c)
	}
	slot, place := due%wheelSlots, c.fd+1
	head := w.slots[slot]
	c.timer, c.due, c.timed = links{next: head}, due, timerArmed
	if head != 0 {
		w.at(head).timer.prev = place
	}
	w.slots[slot] = place
	w.occupied[slot/64] |= 1 << (slot % 64)
}

func (w *wheel) at(place int32) *Conn { return w.table.of(int(place - 1)) }

// disarm takes c out of the wheel if it is in.
func (w *wheel) disarm(c *Conn) {
	t, was := c.timer, c.timed
	c.timer, c.timed = links{}, timerOff
	if was != timerArmed {
		return
	}
	if t.next != 0 {
		w.at(t.next).timer.prev = t.prev
	}
	if t.prev != 0 {
		w.at(t.prev).timer.next = t.next
		return
	}
	slot := c.due % wheelSlots
	w.slots[slot] = t.next
	if t.next == 0 {
		w.occupied[slot/64] &^= 1 << (slot % 64)
	}
}

// sweep disarms every connection that is due at now and returns them. The
// slice is valid until the next sweep.
func (w *wheel) sweep(now time.Duration) []*Conn {
	w.due, w.rung = w.due[:0], 0
	tick := int64(now / tickLength)
	if tick <= w.cursor {
		return nil
	}
	for n := min(tick-w.cursor, wheelSlots); n > 0; n-- {
		slot := (tick - n + 1) % wheelSlots
		for place := w.slots[slot]; place != 0; {
			c := w.at(place)
			place = c.timer.next
			if int32(c.due-uint32(tick)) <= 0 {
				w.disarm(c)
				c.timed = timerDue
				w.due = append(w.due, c)
			}
		}
	}
	w.cursor = tick
	return w.due
}

// wait returns how long after now the next slot that holds a timer comes up;
// negative if there is none. A timer of a later round ends a wait early.
func (w *wheel) wait(now time.Duration) time.Duration {
	for n := int64(1); n <= wheelSlots; {
		slot := (w.cursor + n) % wheelSlots
		word := w.occupied[slot/64] >> (slot % 64)
		if word == 0 {
			n += 64 - slot%64
			continue
		}
		n += int64(bits.TrailingZeros64(word))
		return max(0, time.Duration(w.cursor+n)*tickLength-now)
	}
	return -1
}
