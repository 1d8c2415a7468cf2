package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// C09, here: whatever races, nothing is left over.
func TestRacesOfSubscribeUnsubscribeAndEndLeaveNothing(t *testing.T) {
	connections := 40
	if longTests {
		connections = 400
	}
	srv := &engine.Server{Loops: 2}
	joined := make(chan *engine.WebSocket, 1)
	srv.OnUpgrade = func(ws *engine.WebSocket, _ *engine.Request) { joined <- ws }
	addr := listen(t, srv)
	stop := make(chan struct{})
	var publishing, racing sync.WaitGroup
	for range 2 {
		publishing.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if d, err := srv.Publish(fmt.Sprint("t", i%5), engine.TextMessage("x")); err != nil || d.Subscribers() != d.Queued {
					t.Errorf("%+v, %v", d, err)
					return
				}
			}
		})
	}
	for i := range connections {
		client := dialEngine(t, addr, nil)
		ws := within(t, "OnUpgrade", joined)
		for g := range 3 {
			racing.Go(func() {
				for j := range 100 {
					topic := fmt.Sprint("t", (j+g)%5)
					if err := ws.Subscribe(topic); err != nil && !errors.Is(err, engine.ErrClosed) {
						t.Error(err)
					}
					if j%3 == g {
						_ = ws.Unsubscribe(topic)
					}
				}
			})
		}
		racing.Go(func() {
			switch i % 3 {
			case 0:
				client.CloseNow()
			case 1:
				_ = ws.Close(engine.StatusGoingAway, "")
			case 2:
				ws.CloseNow()
			}
			within(t, "the end", ws.Done())
		})
	}
	racing.Wait()
	close(stop)
	publishing.Wait()
	eventually(t, "nothing is left in the topics", func() bool {
		topics, parts, subs, slow := engine.HubLeft(srv)
		return topics+parts+subs+slow == 0
	})
}

// A message of another connection or topic never comes, whoever closes when.
func TestSubscriberThatClosesDuringAPublishGetsNobodyElsesBytes(t *testing.T) {
	rounds := 60
	if longTests {
		rounds = 1000
	}
	srv := &engine.Server{Loops: 2}
	srv.OnUpgrade = func(ws *engine.WebSocket, req *engine.Request) {
		if err := ws.Subscribe(req.Query()); err != nil {
			t.Error(err)
		}
	}
	addr := listen(t, srv)
	stop := make(chan struct{})
	var publishing sync.WaitGroup
	for _, topic := range []string{"A", "B"} {
		body := []byte(strings.Repeat(topic, 300))
		publishing.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _ = srv.Publish(topic, engine.TextMessage(body)) // counts are another test's
				}
			}
		})
	}
	defer publishing.Wait()
	defer close(stop)
	for i := range rounds {
		topic := string("AB"[i%2])
		got := make(chan struct{}, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ws, err := engine.Dial(ctx, "ws://"+addr+"/?"+topic, &engine.DialOptions{Callbacks: engine.Callbacks{
			OnText: func(ws *engine.WebSocket, text []byte) {
				if string(text) != strings.Repeat(topic, 300) {
					t.Errorf("a subscriber of %s got %.20q", topic, text)
				}
				select {
				case got <- struct{}{}:
				default:
				}
			},
			OnError: func(_ *engine.WebSocket, err error) {
				var protocol *engine.ProtocolError
				if errors.As(err, &protocol) {
					t.Error(err)
				}
			},
		}})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		within(t, "a message", got)
		ws.CloseNow()
		within(t, "the end", ws.Done())
	}
}
