package transport

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// Package net may find the deadline of a context over before the context does: what ended
// it is the cause all the same. A deadline of somebody else is not.
func TestDeadlineOfTheContextIsTheCause(t *testing.T) {
	why := errors.New("why")
	early := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	for _, c := range []struct {
		left time.Duration
		err  error
		want error
	}{
		{10 * time.Millisecond, early, why},
		{time.Hour, early, early},
		{-time.Second, errors.New("anything"), why},
	} {
		ctx, cancel := context.WithTimeoutCause(t.Context(), c.left, why)
		if got := causeOf(ctx, c.err); got != c.want {
			t.Errorf("%v left, %v: %v, want %v", c.left, c.err, got, c.want)
		}
		cancel()
	}
}
