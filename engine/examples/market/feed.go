package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/fanloop-go/fanloop/engine"
)

// markets is the feed. Immutable.
type markets struct {
	srv     *engine.Server
	symbols map[string][]string      // by market
	topics  map[string]*engine.Topic // by market, which is its name
}

func newMarkets(symbols map[string][]string) *markets {
	m := &markets{symbols: symbols, topics: make(map[string]*engine.Topic)}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /metrics", m.metrics)
	m.srv = &engine.Server{HTTP: pages, MaySubscribe: m.maySubscribe}
	m.srv.Handle("/feed", &engine.Endpoint{
		Callbacks:   engine.Callbacks{OnText: m.onText, OnGap: m.onGap},
		Compression: &engine.Compression{},
		Limits:      engine.Limits{MaxMessage: 256, MaxQueued: 1 << 20},
		Slow:        engine.Slow{Policy: engine.SlowConflate, Limit: 64 << 10},
	})
	for name := range symbols {
		m.topics[name] = m.srv.Topic(name)
	}
	return m
}

// publish sends a book to the subscribers of its market, and keeps it for those that
// follow.
func (m *markets) publish(market string, b book) error {
	data, err := json.Marshal(b)
	if err != nil {
		return err
	}
	_, err = m.topics[market].Publish(engine.Message{Op: engine.Text, Data: data, Key: b.Symbol, Retain: true})
	if errors.Is(err, engine.ErrBackpressure) {
		return nil // it is retained; onGap gets it to those that missed it
	}
	return err
}

func (m *markets) maySubscribe(_ *engine.WebSocket, topic string) error {
	if m.topics[topic] == nil {
		return fmt.Errorf("there is no market %q", topic)
	}
	return nil
}

// onText receives {"subscribe":"MARKET"} or {"unsubscribe":"MARKET"}. The answer to the
// first one follows the snapshot.
func (m *markets) onText(ws *engine.WebSocket, text []byte) {
	var order struct{ Subscribe, Unsubscribe string }
	err := json.Unmarshal(text, &order)
	switch {
	case err != nil:
	case order.Subscribe != "":
		if err = ws.Subscribe(order.Subscribe); err == nil {
			answer(ws, "subscribed", order.Subscribe)
		}
	case order.Unsubscribe != "":
		if err = ws.Unsubscribe(order.Unsubscribe); err == nil {
			answer(ws, "unsubscribed", order.Unsubscribe)
		}
	default:
		err = errors.New(`send {"subscribe":"MARKET"} or {"unsubscribe":"MARKET"}`)
	}
	if err != nil {
		answer(ws, "error", err.Error())
	}
}

func answer(ws *engine.WebSocket, key, value string) {
	data, _ := json.Marshal(map[string]string{key: value})
	_ = ws.Send(engine.Text, data) // an error means that nobody waits for it any more
}

// onGap gives a client that missed something a new snapshot.
func (m *markets) onGap(ws *engine.WebSocket, market string, _ uint64) {
	if err := ws.Resubscribe(market); err != nil {
		_ = ws.Fail(engine.StatusTryAgainLater, "too slow", err)
	}
}
