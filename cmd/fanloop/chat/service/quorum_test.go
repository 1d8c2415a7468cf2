package service

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// A loss of the quorum is known at once where servers are missed, and otherwise when a
// stream had no leader for longer than it takes to choose one. A node that flaps logs a
// line of each kind, and the log ends with what is.
func TestQuorum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var led atomic.Bool // the streams have leaders
		var reached atomic.Int64
		led.Store(true)
		reached.Store(3)
		streams := func(context.Context) error {
			if led.Load() {
				return nil
			}
			return errors.New("no leader")
		}
		servers := func() natsserver.Peers { return natsserver.Peers{Reached: int(reached.Load()), All: 3} }
		var log bytes.Buffer
		q := newQuorum(streams, servers, slog.New(slog.NewTextHandler(&log, nil)))
		defer q.close()
		after := func(d time.Duration, lost bool) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if err := q.why(); (err != nil) != lost || lost && !errors.Is(err, ErrNoQuorum) {
				t.Errorf("%v after %v", err, d)
			}
		}
		lines := func() (losses, ends int) {
			return strings.Count(log.String(), "not stored until"), strings.Count(log.String(), "quorum again")
		}
		after(0, false)
		time.Sleep(time.Second) // between two measurements
		reached.Store(1)
		after(askEvery, true)
		reached.Store(2)
		after(askEvery, false)
		led.Store(false)
		after(electing-askEvery, false)
		led.Store(true)
		after(askEvery, false)
		led.Store(false)
		after(electing, false)
		after(2*askEvery, true)
		if losses, ends := lines(); losses != 2 || ends != 1 {
			t.Errorf("%s", &log)
		}
		led.Store(true)
		after(quorumLines, false)
		reached.Store(1)
		after(quorumLines, true)
		led.Store(false)
		reached.Store(2) // the servers are back, and choose leaders
		after(electing/2, true)
		if losses, ends := lines(); losses != ends+1 {
			t.Errorf("%s", &log)
		}
		led.Store(true)
		after(quorumLines, false)
		for range 10 { // in each measurement another one
			reached.Store(1)
			after(askEvery, true)
			reached.Store(2)
			after(askEvery, false)
		}
		after(quorumLines, false)
		if losses, ends := lines(); losses != ends || losses > 3+40/10 {
			t.Errorf("%s", &log)
		}
	})
}
