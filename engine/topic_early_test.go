package engine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// Settings of topics start nothing: the fields of the server that are set later count,
// and so do the settings.
func TestTopicSettingsBeforeListenTakeEffect(t *testing.T) {
	srv := new(engine.Server)
	topic := srv.Topic("room")
	if err := topic.SetSlow(engine.Slow{Policy: engine.SlowDropNewest, Limit: 1}); err != nil {
		t.Fatal(err)
	}
	topic.FlushEvery(time.Minute)
	topic.FlushEvery(time.Hour)
	if n := len(srv.Stats().Loops); n != 0 {
		t.Fatal(n, "loops run")
	}
	joined := make(chan *engine.WebSocket, 1)
	srv.Loops = 1
	srv.Handle("/", &engine.Endpoint{OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) {
		if err := ws.Subscribe("room"); err != nil {
			t.Error(err)
		}
		joined <- ws
	}})
	c := openRaw(t, listen(t, srv))
	ws := within(t, "OnUpgrade", joined)
	if _, err := srv.Publish("room", engine.TextMessage("delayed")); err != nil {
		t.Fatal(err)
	}
	d, err := srv.Publish("room", engine.TextMessage("over the limit"))
	if !errors.Is(err, engine.ErrBackpressure) || d.Dropped != 1 {
		t.Error("SetSlow has no effect:", d, err)
	}
	flushed(t, ws)
	flushed(t, ws)
	if n := srv.Stats().MessagesOut; n != 0 {
		t.Error("FlushEvery has no effect")
	}
	topic.FlushEvery(0)
	c.wantMessage(engine.Text, "delayed")
}

// An invalid value is refused at once, or by Listen where it depends on the fields.
func TestTopicSettingsBeforeListenAreChecked(t *testing.T) {
	srv := new(engine.Server)
	var mistake *engine.OptionError
	if err := srv.Topic("room").SetSlow(engine.Slow{Policy: 99}); !errors.As(err, &mistake) || mistake.Field != "Slow.Policy" {
		t.Error(err)
	}
	if err := srv.Topic("room").SetSlow(engine.Slow{Timeout: 10 * time.Second}); err != nil {
		t.Error(err)
	}
	srv.Limits.WriteTimeout = time.Second
	if _, err := srv.Listen("127.0.0.1:0"); !errors.As(err, &mistake) || mistake.Field != "Slow.Timeout" {
		t.Error(err)
	}
}
