package chat

import (
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/bench/report"
)

// Default is the Config without flags.
func Default() Config {
	return Config{
		Users: 1000, Rooms: 100, PerUser: 1, Sizes: Equal, Talkers: 200, Rate: 100, Size: 128,
		Cuts: 0.05, Away: 2 * time.Second, Reads: 5, Presence: true, Encoding: JSON,
		WarmUp: 3 * time.Second, Time: 20 * time.Second, Opening: 64, Deadline: 10 * time.Second, Seed: 1,
	}
}

// Preset is a named scenario with goals.
type Preset string

// The presets.
const (
	NoPreset  Preset = "none"
	BigRoom   Preset = "big-room"   // all users in one room
	ManyRooms Preset = "many-rooms" // ten users in each room
)

// Config returns the Config of the preset.
func (p Preset) Config() Config {
	c := Default()
	switch p {
	case BigRoom:
		c.Users, c.Rooms, c.Talkers, c.Rate = 10_000, 1, 100, 20
	case ManyRooms:
		c.Users, c.Rooms, c.Talkers, c.Rate = 10_000, 1000, 1000, 1000
	}
	if p != NoPreset {
		c.Cuts, c.Time = 0.01, 30*time.Second
	}
	return c
}

// goal is a bound that a figure should keep.
type goal struct {
	key   string
	bound float64
	least bool // bound is a minimum; otherwise a maximum
}

func (p Preset) goals() []goal {
	switch p {
	case BigRoom:
		return []goal{{"reach", 1, true}, {"p99_ns", 250e6, false}, {"rss_conn", 4 << 10, false}}
	case ManyRooms:
		return []goal{{"reach", 1, true}, {"p99_ns", 50e6, false}}
	}
	return nil
}

// Goals returns the text of each goal of the preset, and whether figures reach it.
func (p Preset) Goals(figures report.Round) (all [][2]string) {
	for _, g := range p.goals() {
		m := metricOf(g.key)
		v, known := figures[g.key]
		text := "at most " + m.Format(g.bound)
		reached := v <= g.bound
		if g.least {
			text, reached = m.Format(g.bound), v >= g.bound
		}
		verdict := "missed: " + m.Format(v)
		switch {
		case !known:
			verdict = "not known"
		case reached:
			verdict = "reached: " + m.Format(v)
		}
		all = append(all, [2]string{fmt.Sprintf("goal: %s %s", m.Title, text), verdict})
	}
	return all
}

func metricOf(key string) report.Metric {
	for _, m := range report.Metrics {
		if m.Key == key {
			return m
		}
	}
	return report.Metric{Key: key, Title: key}
}
