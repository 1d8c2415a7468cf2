package survive_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
	"github.com/fanloop-go/fanloop/loop"
)

// A panic is an error that has its value and stack, and no text of it for clients.
func TestPanicIsAnError(t *testing.T) {
	broken := errors.New("broken")
	if err := survive.Do(func() error { return broken }); err != broken {
		t.Error(err)
	}
	err := survive.Do(func() error { panic("of a user's text") })
	end, is := errors.AsType[*loop.PanicError](err)
	if !is || end.Value != "of a user's text" || strings.Contains(err.Error(), "user's text") {
		t.Errorf("%#v", err)
	}
	var text bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).LogAttrs(t.Context(), slog.LevelError, "failed", survive.Attrs(fmt.Errorf("a call: %w", err))...)
	for _, want := range []string{"err=\"a call: ", "panic=\"of a user's text\"", "TestPanicIsAnError"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the log has no %s: %s", want, text.String())
		}
	}
}
