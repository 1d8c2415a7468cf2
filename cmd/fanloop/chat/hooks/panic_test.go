package hooks_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/loop"
)

// A question that panics, as by what a backend answers, and a caller that does, end no process.
// The question has no answer then, all who share it get to know, and its places are free again.
func TestQuestionThatPanics(t *testing.T) {
	panics := make(chan *loop.PanicError, 11)
	b := &backend{answer: func(*http.Request, string) (*http.Response, error) { panic("a fault of the program") }}
	h := newHook(t, hooks.Config{Timeout: time.Minute, Concurrency: 1, Failures: 100, Transport: b, OnPanic: func(_ hooks.Kind, err *loop.PanicError) { panics <- err }})
	for range 10 {
		if _, err := h.Ask(t.Context(), hooks.Question{User: "ann"}); !errors.Is(err, hooks.ErrUnavailable) || hooks.DelayOf(err) == 0 || strings.Contains(err.Error(), "fault") {
			t.Errorf("Ask: %v", err)
		}
	}
	b.set(says(200, `{"allow":true}`))
	called := make(chan error)
	if err := h.Go(context.Background(), hooks.Question{User: "ann"}, func(_ hooks.Answer, err error) {
		defer func() { called <- err }()
		panic("a fault of the caller")
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-called; err != nil {
		t.Error(err)
	}
	if a, err := h.Ask(t.Context(), hooks.Question{User: "bob"}); err != nil || !a.Allow {
		t.Errorf("after it: %+v, %v", a, err)
	}
	for i := range 11 {
		want := "a fault of the program"
		if i == 10 {
			want = "a fault of the caller"
		}
		if err := <-panics; err.Value != want || !strings.Contains(string(err.Stack), "TestQuestionThatPanics") {
			t.Errorf("%d: %v, %s", i, err.Value, err.Stack)
		}
	}
	if s := h.Stats(); s.Running != 0 || s.Pending != 0 {
		t.Errorf("%+v", s)
	}
}
