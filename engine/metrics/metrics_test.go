package metrics

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixed collects a snapshot.
type fixed struct {
	collector
	snapshot
}

func (f *fixed) Collect(out chan<- prometheus.Metric) { collect(&f.snapshot, out) }

// number gives every number in v a value that no other has.
func number(v reflect.Value, next *int) {
	switch v.Kind() {
	case reflect.Int:
		*next++
		v.SetInt(int64(*next))
	case reflect.Uint64:
		*next++
		v.SetUint(uint64(*next))
	case reflect.Int64: // a time.Duration, exported in seconds
		*next++
		v.SetInt(int64(*next) * int64(time.Second))
	case reflect.Struct:
		for i := range v.NumField() {
			number(v.Field(i), next)
		}
	}
}

// What the engine counts is exported, each field once: a new one fails this test.
func TestEveryCounterIsExported(t *testing.T) {
	f := new(fixed)
	next := 1000
	number(reflect.ValueOf(&f.stats).Elem(), &next)
	sums := f.stats.LoopStats // the loops have them
	f.stats.Loops = make([]engine.LoopStats, 2)
	number(reflect.ValueOf(&f.stats.Loops[0]).Elem(), &next)
	number(reflect.ValueOf(&f.stats.Loops[1]).Elem(), &next)
	f.stats.Ended = map[engine.CloseCause]uint64{engine.CausePongTimeout: 1, engine.CauseSlow: 2}
	f.stats.Refused = map[int]uint64{0: 3, 503: 4}
	number(reflect.ValueOf(&f.memory).Elem(), &next)

	want := []float64{1, 2, 3, 4}
	for n := 1001; n <= next; n++ {
		want = append(want, float64(n))
	}
	of := reflect.ValueOf(sums)
	for i := range of.NumField() {
		var sum float64
		switch field := of.Field(i); {
		case field.Kind() == reflect.Int64:
			sum = time.Duration(field.Int()).Seconds()
		case field.CanInt():
			sum = float64(field.Int())
		default:
			sum = float64(field.Uint())
		}
		want = slices.DeleteFunc(want, func(f float64) bool { return f == sum })
	}
	var got []float64
	for _, series := range gather(t, f) {
		got = append(got, series.value)
	}
	slices.Sort(want)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("exported %v\nwant %v", got, want)
	}
}

type series struct {
	name   string
	labels string
	value  float64
}

func gather(t *testing.T, c prometheus.Collector) (all []series) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			one := series{name: family.GetName(), value: m.GetGauge().GetValue() + m.GetCounter().GetValue()}
			for _, label := range m.GetLabel() {
				one.labels += label.GetName() + "=" + label.GetValue() + ","
			}
			all = append(all, one)
		}
	}
	return all
}

// Names and units are those that Prometheus asks for, and each metric says what it is.
func TestNamesFollowTheConventions(t *testing.T) {
	f := &fixed{snapshot: snapshot{stats: engine.Stats{
		Loops: make([]engine.LoopStats, 1), Ended: map[engine.CloseCause]uint64{engine.CauseSlow: 1}, Refused: map[int]uint64{400: 1},
	}}}
	problems, err := testutil.CollectAndLint(f)
	if err != nil || len(problems) > 0 {
		t.Error(err, problems)
	}
}

// A server that does not run yet has no loops, and one that serves counts.
func TestServerIsCounted(t *testing.T) {
	server := &engine.Server{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		ws.OnText(func(ws *engine.WebSocket, text []byte) { _ = ws.Send(engine.Text, text) })
	}}
	c := New(server)
	if n := testutil.CollectAndCount(c, "fanloop_loop_connections"); n != 0 {
		t.Errorf("%d loops before the start", n)
	}
	l, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	ws, err := pull.Dial(ctx, "ws://"+l.Addr().String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ws.Write(ctx, engine.Text, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ws.Read(ctx); err != nil {
		t.Fatal(err)
	}
	ws.CloseNow()
	<-ws.WebSocket().Done()
	if err := server.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	var in, ended float64
	for _, s := range gather(t, c) {
		switch {
		case s.name == "fanloop_loop_received_messages_total":
			in += s.value
		case s.name == "fanloop_ended_connections_total":
			ended += s.value
		case strings.Contains(s.labels, "127.0.0.1"):
			t.Errorf("%+v names a peer", s)
		}
	}
	if in != 1 || ended != 1 {
		t.Errorf("%v messages came, %v connections ended", in, ended)
	}
}
