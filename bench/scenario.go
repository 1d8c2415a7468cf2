package bench

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Mode is what the load client does.
type Mode string

const (
	Echo      Mode = "echo"      // closed loop: the next message follows the echo of the last
	Handshake Mode = "handshake" // open, upgrade, reset, again
	Idle      Mode = "idle"      // open, one echo each, then hold
)

// DefaultScenarios is what [ParseScenarios] is given when nobody chose.
const DefaultScenarios = "echo200x64,echo200x1k,echo200x16k,echo5000x64,handshake,idle15000"

// handshakeSlots is how many handshakes are under way at once.
const handshakeSlots = 64

// Scenario is one kind of work. The zero value is not one: see [ParseScenario].
type Scenario struct {
	Name     string
	Mode     Mode
	Conns    int // connections; for Handshake, handshakes under way at once
	Size     int // payload bytes of a message
	InFlight int // messages under way per connection
}

var scenarioForm = regexp.MustCompile(`^(?:echo([0-9]+)x([0-9]+)(k?)(?:x([0-9]+))?|idle([0-9]+)|handshake([0-9]*))$`)

// ParseScenario reads echo<conns>x<bytes>[k][x<in flight>], handshake[<slots>] or
// idle<conns>: echo200x16k is 200 connections and messages of 16 KiB, one under way on each.
func ParseScenario(name string) (Scenario, error) {
	m := scenarioForm.FindStringSubmatch(name)
	if m == nil {
		return Scenario{}, fmt.Errorf("scenario %q: want echo<conns>x<bytes>[k][x<in flight>], handshake[<slots>] or idle<conns>", name)
	}
	s := Scenario{Name: name, Mode: Echo, Size: 64, InFlight: 1}
	var conns string
	switch {
	case m[5] != "":
		s.Mode, conns = Idle, m[5]
	case m[1] == "":
		s.Mode, conns = Handshake, m[6]
		if conns == "" {
			conns = strconv.Itoa(handshakeSlots)
		}
	default:
		conns = m[1]
	}
	for _, field := range []struct {
		to      *int
		digits  string
		from, k int
	}{{&s.Conns, conns, 1, 1}, {&s.Size, m[2], 0, 1 << (10 * len(m[3]))}, {&s.InFlight, m[4], 1, 1}} {
		if field.digits == "" {
			continue
		}
		n, err := strconv.Atoi(field.digits)
		if err != nil || n < field.from || n > 16<<20/field.k {
			return Scenario{}, fmt.Errorf("scenario %q: %s is out of range", name, field.digits)
		}
		*field.to = n * field.k
	}
	return s, nil
}

// ParseScenarios reads a list of scenarios separated by commas.
func ParseScenarios(list string) ([]Scenario, error) {
	var all []Scenario
	for name := range strings.SplitSeq(list, ",") {
		s, err := ParseScenario(strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}
