package main

import (
	"context"
	"log"
	"math"
	"math/rand/v2"
	"time"
)

// book is what is bid and asked for a symbol: levels of price and size, the best first.
type book struct {
	Symbol string       `json:"symbol"`
	Bids   [][2]float64 `json:"bids"`
	Asks   [][2]float64 `json:"asks"`
}

const depth = 10

// randomBook returns a book around price.
func randomBook(symbol string, price float64) book {
	b := book{Symbol: symbol}
	for i := range depth {
		away := float64(i+1) / 100
		b.Bids = append(b.Bids, [2]float64{round(price - away), float64(1 + rand.IntN(500))})
		b.Asks = append(b.Asks, [2]float64{round(price + away), float64(1 + rand.IntN(500))})
	}
	return b
}

func round(price float64) float64 { return math.Round(price*100) / 100 }

// trade lets every price walk at random until ctx is done.
func (m *markets) trade(ctx context.Context, every time.Duration) {
	walked := make(map[string]float64) // how far each price has gone from 100
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for market, symbols := range m.symbols {
			for _, s := range symbols {
				walked[s] = max(-99, walked[s]+rand.NormFloat64()/10)
				if err := m.publish(market, randomBook(s, 100+walked[s])); err != nil {
					log.Println(err)
				}
			}
		}
	}
}
