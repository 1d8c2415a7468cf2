package chat

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

// plan has every event of a run. It depends on the Config only, and is immutable.
type plan struct {
	rooms  [][]int32 // of each user
	sizes  []int     // of each room
	events []event   // in the order of time
	sent   []planned // all messages; the index is the number of a message
}

// planned is a message before it is published.
type planned struct{ user, room int32 }

// event is one action of a user.
type event struct {
	at   time.Duration // since the talk began
	kind eventKind
	user int32
	n    int32         // publish: number of the message; read: index of the room among the user's
	away time.Duration // cut: for how long
}

type eventKind uint8

const (
	publish eventKind = iota
	cut
	read
)

// newPlan makes the plan of a Config. Each kind of event has a source of chance of its own.
func newPlan(c Config) *plan {
	p := &plan{rooms: make([][]int32, c.Users), sizes: make([]int, c.Rooms)}
	source := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(c.Seed, n)) }
	p.spread(c, source(1))
	p.talk(c, source(2))
	p.cuts(c, source(3))
	p.reads(c, source(4))
	slices.SortStableFunc(p.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return p
}

// spread assigns users to rooms. The first assignments go to the rooms in turn, so that none
// is empty.
func (p *plan) spread(c Config, r *rand.Rand) {
	weights := make([]float64, c.Rooms)
	sum := 0.0
	for i := range weights {
		sum += 1 / float64(i+1)
		weights[i] = sum
	}
	seats := 0
	for user := range p.rooms {
		for len(p.rooms[user]) < c.PerUser {
			room := int32(seats % c.Rooms)
			if seats >= c.Rooms && c.Sizes == Zipf {
				room = int32(sort.SearchFloat64s(weights, r.Float64()*sum))
			}
			seats++
			if slices.Contains(p.rooms[user], room) {
				continue
			}
			p.rooms[user] = append(p.rooms[user], room)
			p.sizes[room]++
		}
	}
}

// talk lets talkers publish at even times, each message in one of its author's rooms.
func (p *plan) talk(c Config, r *rand.Rand) {
	talkers := r.Perm(c.Users)
	if c.Talkers > 0 {
		talkers = talkers[:c.Talkers]
	}
	for i := range evenTimes(c.Rate, c.WarmUp+c.Time) {
		user := int32(talkers[r.IntN(len(talkers))])
		room := p.rooms[user][r.IntN(len(p.rooms[user]))]
		p.events = append(p.events, event{at: i, kind: publish, user: user, n: int32(len(p.sent))})
		p.sent = append(p.sent, planned{user, room})
	}
}

// cuts adds the cuts of a share of the users, whether they talk or not. They happen after the
// warm-up, and all users are back before the end.
func (p *plan) cuts(c Config, r *rand.Rand) {
	most := min(c.Away, c.Time/2)
	for _, user := range r.Perm(c.Users)[:int(c.Cuts*float64(c.Users))] {
		at := c.WarmUp + time.Duration(r.Float64()*float64(c.Time-most))
		away := time.Duration(r.Float64() * float64(most))
		p.events = append(p.events, event{at: at, kind: cut, user: int32(user), away: away})
	}
}

// reads adds the reads of history, at even intervals.
func (p *plan) reads(c Config, r *rand.Rand) {
	for i := range evenTimes(c.Reads, c.Time) {
		user := int32(r.IntN(c.Users))
		p.events = append(p.events, event{at: c.WarmUp + i, kind: read, user: user, n: int32(r.IntN(c.PerUser))})
	}
}

// evenTimes yields the times of rate events a second, below length.
func evenTimes(rate float64, length time.Duration) func(func(time.Duration) bool) {
	return func(yield func(time.Duration) bool) {
		for i := 0; rate > 0; i++ {
			at := time.Duration(float64(i) / rate * float64(time.Second))
			if at >= length || !yield(at) {
				return
			}
		}
	}
}

// deliveries returns the number of deliveries if none is lost.
func (p *plan) deliveries() (n int) {
	for _, m := range p.sent {
		n += p.sizes[m.room]
	}
	return n
}
