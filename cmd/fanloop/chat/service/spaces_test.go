package service_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Each namespace keeps as many messages of a topic, and as long, as its rules say.
func TestNamespacesKeepTheirOwnHistory(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) {
		few, brief := c.Namespaces[config.DefaultNamespace], c.Namespaces[config.DefaultNamespace]
		few.HistorySize, brief.HistoryAge = 3, 2*time.Second
		c.Namespaces["few"], c.Namespaces["brief"] = few, brief
	})
	published := []string{"a", "b", "c", "d", "e", "f"}
	watching := connect(t, ctx, s, protocol.JSON, "bob") // what subscribers get is in memory for longer
	for i, topic := range []string{"few:y", "brief:x"} {
		watching.subscribe(protocol.Subscribe{Topic: topic, Attempt: uint32(i + 1)})
	}
	history := func(topic string) (ids []string) {
		t.Helper()
		page, err := s.History(ctx, &protocol.History{Topic: topic, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			ids = append(ids, strings.TrimPrefix(m.ID, "ann/"))
		}
		return ids
	}
	for _, topic := range []string{"lobby", "few:x", "few:y", "brief:x"} {
		for _, id := range published {
			if _, err := s.Publish(ctx, "ann", "", &protocol.Publish{Topic: topic, ID: id, Data: protocol.Data(`1`)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for topic, want := range map[string][]string{"lobby": published, "few:x": published[3:], "few:y": published[3:]} {
		if got := history(topic); !slices.Equal(got, want) {
			t.Errorf("%s keeps %v, want %v", topic, got, want)
		}
	}
	for len(history("brief:x")) > 0 {
		if ctx.Err() != nil {
			t.Fatal("brief:x keeps what is older than its age")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if got := history("lobby"); len(got) != len(published) {
		t.Errorf("lobby keeps %v", got)
	}
}
