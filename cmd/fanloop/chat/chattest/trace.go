package chattest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/tracing"
)

// TraceEvent is an event that Chromium records of itself. Times are in microseconds.
type TraceEvent struct {
	Name  string          `json:"name"`
	Phase string          `json:"ph"`
	Time  float64         `json:"ts"`
	Took  float64         `json:"dur"`
	PID   int             `json:"pid"`
	TID   int             `json:"tid"`
	Args  json.RawMessage `json:"args"`
}

// Trace records events of some categories while something happens.
func (tab *Tab) Trace(t testing.TB, during func(), categories ...string) (events []TraceEvent) {
	t.Helper()
	tab.traced = make(chan *tracing.EventDataCollected, 4096)
	config := &tracing.TraceConfig{IncludedCategories: categories, ExcludedCategories: []string{"*"}}
	if _, err := Call(tab, tracing.Start, tracing.StartParams{TraceConfig: config}); err != nil {
		t.Fatal(err)
	}
	during()
	if _, err := Call(tab, tracing.End, cdp.Empty{}); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case some, more := <-tab.traced:
			if !more {
				return events
			}
			for _, value := range some.Value {
				var e TraceEvent
				if json.Unmarshal(value, &e) == nil {
					events = append(events, e)
				}
			}
		case <-time.After(patience):
			t.Fatal("the trace does not end")
		}
	}
}
