package chat

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

// busyDay has every kind of event.
func busyDay() Config {
	c := Default()
	c.Users, c.Rooms, c.PerUser, c.Talkers = 300, 40, 3, 20
	c.Sizes, c.Rate, c.Cuts, c.Reads, c.WarmUp, c.Time = Zipf, 200, 0.1, 20, time.Second, 3*time.Second
	return c
}

// The same seed makes the same plan, and another seed another one.
func TestSameSeedSamePlan(t *testing.T) {
	c := busyDay()
	one, again := newPlan(c), newPlan(c)
	if !reflect.DeepEqual(one, again) {
		t.Error("the plans of one seed differ")
	}
	c.Seed++
	other := newPlan(c)
	if reflect.DeepEqual(one.events, other.events) || reflect.DeepEqual(one.rooms, other.rooms) {
		t.Error("the plans of two seeds do not differ")
	}
}

// The plan has what the Config asks for.
func TestPlanIsWhatIsAskedFor(t *testing.T) {
	c := busyDay()
	p := newPlan(c)
	counts := make(map[eventKind]int)
	talkers := make(map[int32]bool)
	for i, e := range p.events {
		counts[e.kind]++
		if i > 0 && e.at < p.events[i-1].at {
			t.Fatalf("event %d is before the one in front of it", i)
		}
		if e.kind == publish {
			talkers[e.user] = true
			if m := p.sent[e.n]; m.user != e.user || !slices.Contains(p.rooms[e.user], m.room) {
				t.Fatalf("message %d is %+v, of user %d with rooms %v", e.n, m, e.user, p.rooms[e.user])
			}
		} else if e.at < c.WarmUp || e.at+e.away > c.WarmUp+c.Time {
			t.Errorf("%+v is not while it is measured", e)
		}
	}
	if want := map[eventKind]int{publish: 800, cut: 30, read: 60}; !reflect.DeepEqual(counts, want) {
		t.Errorf("events %v, want %v", counts, want)
	}
	if len(talkers) != c.Talkers {
		t.Errorf("%d users talk, want %d", len(talkers), c.Talkers)
	}
	members, deliveries := make([]int, c.Rooms), 0
	for user, rooms := range p.rooms {
		if len(rooms) != c.PerUser {
			t.Errorf("user %d is in %v", user, rooms)
		}
		for _, room := range rooms {
			members[room]++
		}
	}
	for _, m := range p.sent {
		deliveries += members[m.room]
	}
	if !slices.Equal(members, p.sizes) || slices.Min(members) == 0 || deliveries != p.deliveries() {
		t.Errorf("rooms have %v members and are said to have %v; %d deliveries, said to be %d", members, p.sizes, deliveries, p.deliveries())
	}
	if members[0] < 3*members[len(members)-1] {
		t.Errorf("by Zipf the first room has %d members and the last %d", members[0], members[len(members)-1])
	}
}

// With Equal, all rooms have the same number of users.
func TestEqualRoomsAreEqual(t *testing.T) {
	c := busyDay()
	c.Sizes = Equal
	p := newPlan(c)
	if least, most := slices.Min(p.sizes), slices.Max(p.sizes); most > least+1 {
		t.Errorf("rooms have %d to %d members", least, most)
	}
}

// An invalid Config is refused with an error that names valid values.
func TestConfigIsChecked(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"no users":              func(c *Config) { c.Users = 0 },
		"no rooms":              func(c *Config) { c.Rooms = 0 },
		"more rooms than seats": func(c *Config) { c.Rooms = c.Users*c.PerUser + 1 },
		"no room of a user":     func(c *Config) { c.PerUser = 0 },
		"rooms of a user":       func(c *Config) { c.PerUser = c.Rooms + 1 },
		"sizes":                 func(c *Config) { c.Sizes = "odd" },
		"talkers":               func(c *Config) { c.Talkers = c.Users + 1 },
		"cuts":                  func(c *Config) { c.Cuts = 1.1 },
		"no rate":               func(c *Config) { c.Rate = 0 },
		"rate":                  func(c *Config) { c.Rate = 1e9 },
		"small messages":        func(c *Config) { c.Size = minSize - 1 },
		"large messages":        func(c *Config) { c.Size = 1 << 20 },
		"encoding":              func(c *Config) { c.Encoding = "xml" },
		"no time":               func(c *Config) { c.Time = 0 },
		"nobody connects":       func(c *Config) { c.Opening = 0 },
	} {
		c := busyDay()
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s: %+v is measured", name, c)
		}
	}
	if err := busyDay().Check(); err != nil {
		t.Error(err)
	}
	for _, p := range []Preset{NoPreset, BigRoom, ManyRooms} {
		if err := p.Config().Check(); err != nil {
			t.Errorf("%s: %v", p, err)
		}
	}
}
