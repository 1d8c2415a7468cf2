package service

import (
	"testing"
	"testing/synctest"
	"time"
)

// Names are counted while somebody looks, and not before nor for long after.
func TestNothingIsCountedByNameWhileNobodyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(looking)
		l.published("lobby", "ann")
		if l.now.Load() != nil {
			t.Fatal("it is counted before anybody looks")
		}
		l.turn(true)
		for range 10 {
			l.published("lobby", "ann")
		}
		time.Sleep(2 * lookWindow) // nobody was there to end the window in time
		topics, users, lasted := l.turn(true).counts()
		if topics["lobby"] != 10 || users["ann"] != 10 || lasted != 2*lookWindow {
			t.Errorf("%v, %v in %v", topics, users, lasted)
		}
		time.Sleep(lookEnds + 1)
		l.published("lobby", "ann")
		if l.now.Load() != nil {
			t.Error("it is counted though nobody looks")
		}
	})
}
