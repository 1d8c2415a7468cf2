package metrics

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/timing"
)

// fixed is a node that counted what it is given.
type fixed struct {
	stats service.Stats
	ready error
}

func (f *fixed) Stats() service.Stats { return f.stats }
func (f *fixed) Lag(context.Context) []time.Duration {
	return []time.Duration{time.Second, 2 * time.Second}
}
func (f *fixed) Ready() error { return f.ready }

// number gives every number in v a value that no other has.
func number(v reflect.Value, next *int) {
	switch v.Kind() {
	case reflect.Int, reflect.Int64:
		*next++
		v.SetInt(int64(*next))
	case reflect.Uint64:
		*next++
		v.SetUint(uint64(*next))
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[timing.Timing]() {
			return
		}
		for i := range v.NumField() {
			number(v.Field(i), next)
		}
	}
}

// numbered is a node of which each number is another one.
func numbered() (f *fixed, last int) {
	f, last = new(fixed), 1000
	number(reflect.ValueOf(&f.stats).Elem(), &last)
	f.stats.Errors = make(map[protocol.Code]uint64)
	f.stats.Closings = make(map[protocol.Code]uint64)
	for _, code := range protocol.Codes() {
		f.stats.Errors[code], f.stats.Closings[code] = uint64(last+1), uint64(last+2)
		last += 2
	}
	f.stats.Tokens = make(map[auth.Reason]uint64)
	for _, reason := range auth.Reasons() {
		last++
		f.stats.Tokens[reason] = uint64(last)
	}
	f.stats.Connected = true
	f.stats.Stored = timing.Timing{Count: 9, Sum: 3 * time.Second}
	f.stats.Hooks = []hooks.Stats{{Kind: hooks.Connect, State: hooks.IsOpen, Pending: 7, Shared: 8, Outcomes: map[hooks.Outcome]uint64{hooks.Allowed: 5}}}
	return f, last
}

// leftOut are numbers that others have already.
func leftOut(s *service.Stats) []int {
	return []int{
		int(s.Live.Delivered), s.Live.Live, s.Live.Topics, // in Delivered, Subscriptions; of encodings
		s.Revoked.Registrations, // sessions
	}
}

// What a node counts is exported: a new number fails this test.
func TestEveryCounterIsExported(t *testing.T) {
	f, last := numbered()
	seen := make(map[string]bool)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(New(f))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			seen[strconv.Itoa(int(m.GetGauge().GetValue()+m.GetCounter().GetValue()))] = true
		}
	}
	for n := 1001; n <= last; n++ {
		if !seen[strconv.Itoa(n)] && !slices.Contains(leftOut(&f.stats), n) {
			t.Errorf("number %d of %+v is not exported", n, f.stats)
		}
	}
}

// Names and units are those that Prometheus asks for, and each metric says what it is.
func TestNamesFollowTheConventions(t *testing.T) {
	f, _ := numbered()
	problems, err := testutil.CollectAndLint(New(f))
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

// A node that should get no connections is not ready.
func TestReady(t *testing.T) {
	f, _ := numbered()
	for err, want := range map[error]string{nil: "1", errors.New("draining"): "0"} {
		f.ready = err
		expected := "# HELP fanloop_chat_ready 1 while the node should get new connections.\n# TYPE fanloop_chat_ready gauge\nfanloop_chat_ready " + want + "\n"
		if err := testutil.CollectAndCompare(New(f), strings.NewReader(expected), "fanloop_chat_ready"); err != nil {
			t.Error(err)
		}
	}
}
