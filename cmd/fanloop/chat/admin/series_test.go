package admin_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// X50: the series are the same however many rooms and users there were, whatever their
// names, and whatever paths were asked for.
func TestSeriesDoNotGrow(t *testing.T) {
	s, ctx := start(t, nil)
	h := handlerOf(s, "")
	series := func() (all []string) {
		for line := range strings.Lines(ask(h, "GET", "/metrics", nil).Body.String()) {
			if !strings.HasPrefix(line, "#") {
				all = append(all, line[:strings.LastIndexByte(line, ' ')])
			}
		}
		return all
	}
	before := series()
	for i := range 300 {
		odd := []string{`a"b`, "{x}", "a\\n", "\u00e9", "<b>", "$JS.API", "__proto__", "*.>"}[i%8] + fmt.Sprint(i)
		if _, err := s.Publish(ctx, odd, odd, &protocol.Publish{Topic: odd, ID: "x", Data: protocol.Data(`1`)}); err != nil {
			t.Fatal(err)
		}
		ask(h, "GET", "/nowhere/"+fmt.Sprint(i), nil)
	}
	enter(t, ctx, s, `a"b{}`, `a"b`, "{x}")
	if after := series(); !slices.Equal(before, after) {
		t.Errorf("%d series became %d:\n%s", len(before), len(after), strings.Join(slices.DeleteFunc(after, func(one string) bool { return slices.Contains(before, one) }), "\n"))
	}
}
