package service_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// alarms keeps what is logged.
type alarms struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (a *alarms) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.Write(p)
}

func (a *alarms) has(text string) bool { return a.count(text) > 0 }

func (a *alarms) count(text string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Count(a.text.String(), text)
}

// X43: a store that fills makes the node not ready, with an alarm and a metric, before
// messages are refused. Then who sends is told to try later, who is there goes on
// reading, and with more room everything that was acknowledged is there.
func TestStoreFills(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	c := config.Default()
	c.Listen, c.DataDir, c.MaxStore = "127.0.0.1:0", t.TempDir(), 6<<20
	log := new(alarms)
	begin := func() *service.Service {
		t.Helper()
		s, err := service.Start(ctx, c, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := begin()
	data := protocol.Data(`"` + strings.Repeat("x", 15<<10) + `"`)
	var acked []string
	publish := func() error {
		id := fmt.Sprint("m", len(acked))
		_, err := s.Publish(ctx, "ann", "", &protocol.Publish{Topic: "room", ID: id, Data: data})
		if err == nil {
			acked = append(acked, id)
		}
		return err
	}
	until := func(what string, is func() bool) {
		t.Helper()
		for !is() {
			if ctx.Err() != nil {
				t.Fatal(what)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	until("it is ready at first", func() bool { return s.Ready() == nil })
	if u := s.Stats().Store; u.Limit != 6<<20 {
		t.Errorf("%+v", u)
	}
	for 15<<10*len(acked) < 6<<20*87/100 {
		until("messages are refused before it is full", func() bool { return publish() == nil })
	}
	until("it is not ready when nearly full", func() bool { return errors.Is(s.Ready(), service.ErrFull) })
	if u := s.Stats().Store; u.Used < u.Limit*85/100 || !log.has("nearly full") {
		t.Errorf("%+v, and the log has %s", u, &log.text)
	}

	reader := connect(t, ctx, s, protocol.JSON, "bob")
	reader.subscribe(protocol.Subscribe{Topic: "room", Attempt: 1})
	var refused error
	for refused == nil {
		refused = publish()
	}
	if answer := (*protocol.Error)(nil); !errors.As(refused, &answer) || answer.Code != protocol.Unavailable || answer.Retry != protocol.Later {
		t.Errorf("the sender is answered with %v", refused)
	}
	reader.saw(acked[len(acked)-1])
	reader.send(&protocol.History{Ref: 7, Topic: "room", Limit: 3})
	for {
		if page, is := reader.next().(*protocol.Page); is {
			if len(page.Messages) != 3 {
				t.Errorf("%+v", page)
			}
			break
		}
	}
	if err := s.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}

	c.MaxStore = 64 << 20
	s = begin()
	defer func() {
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}()
	until("it is ready with more room", func() bool { return s.Ready() == nil })
	if err := publish(); err != nil {
		t.Error(err)
	}
	stored := make(map[string]bool)
	for from := (*protocol.Position)(nil); ; {
		page, err := s.History(ctx, &protocol.History{Topic: "room", Before: from, Limit: 100})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Messages {
			stored[m.ID] = true
		}
		if from = page.Back; page.Begin || from == nil {
			break
		}
	}
	for _, id := range acked {
		if !stored[id] && !stored["ann/"+id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
}
