package cluster

import (
	"math"
	"strings"
	"testing"
)

func message(offset uint64, id string) Message {
	return Message{Epoch: "e", Offset: offset, ID: id}
}

// Every position is at one place, seen from a ring.
func TestPlacesOfARing(t *testing.T) {
	empty := ring{base: Position{"e", 10, ""}}
	full := ring{limit: Budget{3, 1 << 20}, base: Position{"e", 0, ""}}
	for i, id := range strings.Fields("a b c d e") {
		full.push(message(uint64(10+10*i), id)) // c, d, e are left, at 30, 40, 50
	}
	begun := ring{limit: Budget{3, 1 << 20}, base: Position{"e", 10, ""}}
	begun.push(message(20, "a"))
	for _, c := range []struct {
		name  string
		ring  *ring
		at    Position
		count int
		place place
	}{
		{"the place of an empty topic", &empty, Position{"e", 10, ""}, 0, inside},
		{"a later one", &empty, Position{"e", 12, ""}, 0, inside},
		{"an earlier one", &empty, Position{"e", 9, ""}, 0, before},
		{"a message at its offset", &empty, Position{"e", 10, "x"}, 0, before},
		{"a message behind it", &empty, Position{"e", 11, "x"}, 0, ahead},
		{"another epoch", &empty, Position{"f", 10, ""}, 0, foreign},
		{"the base", &full, Position{"e", 20, "b"}, 3, inside},
		{"another message at the base", &full, Position{"e", 20, "x"}, 0, foreign},
		{"in front of the base", &full, Position{"e", 10, "a"}, 0, before},
		{"nothing in front of the base", &full, Position{"e", 0, ""}, 0, before},
		{"nothing, behind the base", &full, Position{"e", 25, ""}, 0, foreign},
		{"a message", &full, Position{"e", 40, "d"}, 1, inside},
		{"another one there", &full, Position{"e", 40, "x"}, 0, foreign},
		{"between messages", &full, Position{"e", 41, "x"}, 0, foreign},
		{"the end", &full, Position{"e", 50, "e"}, 0, inside},
		{"behind the end", &full, Position{"e", 51, "x"}, 0, ahead},
		{"nothing, and then a message", &begun, Position{"e", 19, ""}, 1, inside},
		{"nothing, where a message is", &begun, Position{"e", 20, ""}, 0, foreign},
		{"nothing, up to the last offset there is", &begun, Position{"e", math.MaxUint64, ""}, 0, foreign},
	} {
		messages, where := c.ring.after(c.at)
		if len(messages) != c.count || where != c.place {
			t.Errorf("%s: %d messages at place %d, want %d at %d", c.name, len(messages), where, c.count, c.place)
		}
	}
}

// A ring is within its limits, but for one message, and counts its bytes.
func TestLimitsOfARing(t *testing.T) {
	r := ring{limit: Budget{10, 1000}, base: Position{"e", 0, ""}}
	for i := range 20 {
		m := message(uint64(i+1), "x")
		m.Data = make([]byte, 100*(i%5))
		r.push(m)
		sum := 0
		for j := range r.messages {
			sum += r.messages[j].size()
		}
		if sum != r.bytes || len(r.messages) > 10 || len(r.messages) > 1 && sum > 1000 {
			t.Fatalf("%d messages, %d bytes, counted %d", len(r.messages), sum, r.bytes)
		}
	}
	big := message(100, "big")
	big.Data = make([]byte, 5000)
	r.push(big)
	if len(r.messages) != 1 {
		t.Errorf("%d messages behind one that is over the limit", len(r.messages))
	}
}

// What is put in front of a ring is linked, counted and within the limits.
func TestPrependToARing(t *testing.T) {
	r := ring{limit: Budget{4, 1 << 20}, base: Position{"e", 3, "c"}}
	r.push(message(4, "d"))
	r.prepend(Position{"e", 1, "a"}, []Message{message(2, "b"), message(3, "c")})
	got, where := r.after(Position{"e", 1, "a"})
	if where != inside || len(got) != 3 || got[2].Prev != 3 || r.bytes != 3*(overhead+1) {
		t.Errorf("%v at place %d, %d bytes", got, where, r.bytes)
	}
	r.prepend(Position{"e", 0, ""}, []Message{message(1, "a"), message(1, "a")})
	if r.base.ID != "a" {
		t.Error("what has no room was put in front")
	}
}

// A budget takes as many messages as it has room for, and one at least.
func TestBudgetTakes(t *testing.T) {
	messages := []Message{message(1, "a"), message(2, "b"), message(3, "c")}
	one := messages[0].size()
	for _, c := range []struct {
		budget Budget
		want   int
	}{{Budget{5, 5 * one}, 3}, {Budget{2, 5 * one}, 2}, {Budget{5, 2 * one}, 2}, {Budget{5, 1}, 1}, {Budget{}, 1}} {
		if got := len(c.budget.Take(messages)); got != c.want {
			t.Errorf("%+v takes %d, want %d", c.budget, got, c.want)
		}
	}
}
