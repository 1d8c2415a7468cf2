package service

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// A question that ended with its time is one to which there was no answer, wherever that was
// noticed: the client tries again. A fault stays one.
func TestWhatGotNoAnswerIsUnavailable(t *testing.T) {
	for _, err := range []error{
		cluster.ErrUnavailable, context.DeadlineExceeded, context.Canceled, fmt.Errorf("head: %w", context.DeadlineExceeded),
	} {
		got := answer(err)
		if fault, is := errors.AsType[*protocol.Error](got); !is || fault.Code != protocol.Unavailable || fault.Retry != protocol.Later || fault.Delay == 0 {
			t.Errorf("%v: %#v", err, got)
		}
	}
	if got := answer(fmt.Errorf("store: %w", cluster.ErrTooLarge)); got != protocol.TooLarge {
		t.Errorf("what the store does not take: %v", got)
	}
	if fault := errors.New("a fault"); answer(fault) != fault || !isFault(answer(fault)) {
		t.Error("a fault has another answer than internal")
	}
	if isFault(answer(context.Canceled)) || isFault(protocol.Forbidden) || isFault(nil) {
		t.Error("an answer is logged as a fault")
	}
}
