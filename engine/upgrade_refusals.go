package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// refusals counts and logs the requests that a server refuses. Any goroutine.
type refusals struct {
	byStatus [handshake.MaxRejection - handshake.MinRejection + 1]atomic.Uint64
	reset    atomic.Uint64 // connections that were reset without an answer

	failed, refused loop.Throttle
}

// add counts and logs a request that is refused with err.
func (r *refusals) add(log *slog.Logger, err error, from fmt.Stringer) {
	status := handshake.RejectionOf(err).Status
	r.byStatus[status-handshake.MinRejection].Add(1)
	peer := slog.Any("peer", lazily{from})
	if failure := failureOf(err); failure != "" {
		r.failed.Log(log, slog.LevelError, "engine: "+failure+"; the request is refused with 500", slog.Any("err", err), peer)
	}
	r.refused.Log(log, slog.LevelDebug, "engine: refused a request", slog.Int("status", status), slog.Any("err", err), peer)
}

// failureOf says what an application did wrong if err cannot be sent, in which case
// the peer gets no more than 500; "" otherwise. A panic is logged with its stack.
func failureOf(err error) string {
	var rejection *handshake.Rejection
	switch {
	case is[*PanicError](err):
		return ""
	case is[*handshake.HeaderError](err):
		return "ShouldUpgrade returned a header that may not be sent"
	case is[*unusableEndpoint](err):
		return "the Endpoint given to Upgrade cannot be used"
	case !errors.As(err, &rejection):
		return "ShouldUpgrade failed"
	case handshake.RejectionOf(err) != rejection:
		return "ShouldUpgrade refused with a status that is no refusal"
	}
	return ""
}

// unusableEndpoint is an Endpoint that makes no sense.
type unusableEndpoint struct{ err error }

func (e *unusableEndpoint) Error() string { return "engine: endpoint: " + e.err.Error() }

func (e *unusableEndpoint) Unwrap() error { return e.err }

// counts are the refusals so far by status; nil if there were none. 0 stands for
// connections that were reset.
func (r *refusals) counts() map[int]uint64 {
	var all map[int]uint64
	count := func(status int, n uint64) {
		if n == 0 {
			return
		}
		if all == nil {
			all = make(map[int]uint64)
		}
		all[status] = n
	}
	count(0, r.reset.Load())
	for i := range r.byStatus {
		count(handshake.MinRejection+i, r.byStatus[i].Load())
	}
	return all
}

// lazily puts into words when a line is written.
type lazily struct{ fmt.Stringer }

// LogValue implements slog.LogValuer.
func (l lazily) LogValue() slog.Value { return slog.StringValue(l.String()) }
