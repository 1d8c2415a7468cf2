package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
)

// ErrNoQuorum: no more than half of the servers that keep the messages can be reached, so
// nothing is stored. Who is connected stays, and keeps what it wants to send.
var ErrNoQuorum = errors.New("service: no quorum")

const (
	askEvery = 2 * time.Second
	// electing is how long a stream may be unable to store: a leader that ended is replaced
	// by then, also when the first election (4 to 9 s) has no winner.
	electing = 20 * time.Second
	// quorumLines is the time between two lines of the log.
	quorumLines = 10 * time.Second
)

// quorum knows whether enough servers run to store messages.
type quorum struct {
	// Immutable.
	streams func(context.Context) error // why a stream cannot store
	servers func() natsserver.Peers     // nil: they are elsewhere
	log     *slog.Logger
	stop    context.CancelFunc
	work    sync.WaitGroup

	// Owned by the goroutine that asks.
	since  time.Time // since when a stream cannot store; zero: all can
	logged time.Time // when the last line was
	told   bool      // the last line is that of a loss

	// Read by anyone.
	peers atomic.Pointer[natsserver.Peers]
	lost  atomic.Pointer[error] // why nothing is stored
}

// newQuorum asks until close.
func newQuorum(streams func(context.Context) error, servers func() natsserver.Peers, log *slog.Logger) *quorum {
	ctx, stop := context.WithCancel(context.Background())
	q := &quorum{streams: streams, servers: servers, log: log, stop: stop}
	q.set(nil, natsserver.Peers{})
	q.work.Go(func() {
		tick := time.NewTicker(askEvery)
		defer tick.Stop()
		for ctx.Err() == nil {
			q.measure(ctx)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return q
}

// measure notes whether messages are stored now.
func (q *quorum) measure(ctx context.Context) {
	var peers natsserver.Peers
	if q.servers != nil {
		peers = q.servers()
	}
	var why error
	if peers.Lost() {
		why = fmt.Errorf("%w: this node reaches %d of %d servers, itself included", ErrNoQuorum, peers.Reached, peers.All)
	} else if err := q.unable(ctx); err != nil {
		why = fmt.Errorf("%w: %w", ErrNoQuorum, err)
	}
	if ctx.Err() != nil {
		return // the answer says nothing
	}
	q.set(why, peers)
	q.say(why)
}

// unable is why a stream cannot store: at once after a loss, which ends when all can store
// again, and otherwise only after the time that it takes to choose a leader.
func (q *quorum) unable(ctx context.Context) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	err := q.streams(ctx)
	switch {
	case err == nil:
		q.since = time.Time{}
	case q.since.IsZero():
		q.since = began
	}
	if q.why() == nil && time.Since(q.since) < electing {
		return nil
	}
	return err
}

func (q *quorum) set(why error, peers natsserver.Peers) {
	q.peers.Store(&peers)
	q.lost.Store(&why)
}

// why is why nothing is stored; nil: messages are.
func (q *quorum) why() error { return *q.lost.Load() }

// say logs that messages are stored no more, and that they are again.
func (q *quorum) say(why error) {
	if q.told == (why != nil) || time.Since(q.logged) < quorumLines {
		return
	}
	q.told, q.logged = why != nil, time.Now()
	if why != nil {
		q.log.Error("no quorum: messages are not stored until more than half of the servers run", "err", why)
		return
	}
	q.log.Info("there is a quorum again: messages are stored")
}

// close returns when nothing is asked any more.
func (q *quorum) close() {
	q.stop()
	q.work.Wait()
}
