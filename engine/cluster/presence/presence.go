package presence

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// MaxUser is the length of the name of a user at most, in bytes.
const MaxUser = 128

// Errors that are returned as they are or wrapped.
var (
	// ErrUser: the name is empty or longer than MaxUser.
	ErrUser = errors.New("presence: the name of a user has 1 to 128 bytes")
	// ErrLevel: the topic's level does not include what was asked for.
	ErrLevel = errors.New("presence: the level of the topic does not include this; raise Config.Level for it")
)

// Level is how much clients get to know of a topic. Each includes those before it.
type Level uint8

const (
	// Default is Full.
	Default Level = iota
	// Off: nothing is known, and Join does nothing.
	Off
	// Count: how many users there are.
	Count
	// Sample: some of them, too.
	Sample
	// Pages: all of them, by Watch.Page.
	Pages
	// Full: all of them, and who joins and leaves, as long as there are at most
	// Config.Full; above that it is Pages by itself.
	Full
)

// Config is how a Presence works. The zero value of each field means its default.
type Config struct {
	// Level chooses the level of a topic; nil: Full for all. It is always the same for
	// one topic, and on all nodes. It is called without a lock, and must not block.
	Level func(topic string) Level
	// Full is up to how many users joins and leaves are told by name (100).
	Full int
	// Sample is how many users the level Sample names (10).
	Sample int
	// Every is the time between two updates of a topic at least (1 s).
	Every time.Duration
	// Bytes is for the updates of one topic in a second (2048). The name of a user
	// counts as 4 more than its length, an update as 24 more than its names. It has
	// room for one name at least.
	Bytes int
	// Grace is how long a user stays after the last connection is gone (5 s).
	Grace time.Duration
}

const (
	nameBytes   = 4
	updateBytes = 24
	// flushEvery is how long a node gathers changes before it tells other nodes.
	flushEvery = 100 * time.Millisecond
)

func (c Config) withDefaults() Config {
	level := c.Level
	c.Level = func(topic string) Level {
		if level == nil || level(topic) == Default {
			return Full
		}
		return level(topic)
	}
	c.Full = orDefault(c.Full, 100)
	c.Sample = orDefault(c.Sample, 10)
	c.Every = orDefault(c.Every, time.Second)
	c.Bytes = max(orDefault(c.Bytes, 2048), updateBytes+nameBytes+MaxUser)
	c.Grace = orDefault(c.Grace, 5*time.Second)
	return c
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Presence is the part of a node that knows who is in its topics. Its methods may
// be called by any goroutine.
type Presence struct {
	config Config        // immutable
	group  *mirror.Group // its mutex guards all below, and all rooms

	leaving []leaving     // users whose last connection is gone, in the order of their ends
	graces  map[place]int // how often each of them is in leaving
	leave   mirror.Task
}

// place is a user in a topic.
type place struct{ topic, user string }

// leaving is a user who leaves at a time, unless there is a connection again.
type leaving struct {
	end time.Time
	place
}

// New returns a Presence that talks to those of other nodes by the bus. Close it
// before the bus.
func New(bus cluster.Bus, config Config) (*Presence, error) {
	p := &Presence{config: config.withDefaults(), graces: make(map[place]int)}
	p.leave.Do = p.endGraces
	group, err := mirror.New(bus, mirror.Config{
		Kind: "presence", Flush: flushEvery, Grace: p.config.Grace, Change: p.change,
	})
	if err != nil {
		return nil, err
	}
	p.group = group
	return p, nil
}

// Close ends all watches and returns when no update is delivered any more. In an update
// it does not wait. The users of this node stay with the others for the grace time.
func (p *Presence) Close() { p.group.Close() }

// Join notes one more connection of a user in a topic, until leave is called.
func (p *Presence) Join(topic, user string) (leave func(), err error) {
	if err := cluster.CheckTopic(topic); err != nil {
		return nil, err
	}
	if user == "" || len(user) > MaxUser {
		return nil, ErrUser
	}
	if p.config.Level(topic) == Off {
		return func() {}, nil
	}
	p.group.Lock()
	defer p.group.Unlock()
	connections, _ := decode(p.group.Own(topic, user))
	if err := p.group.Put(topic, user, encode(connections+1)); err != nil {
		return nil, err
	}
	left := false
	return func() {
		p.group.Lock()
		defer p.group.Unlock()
		if !left && !p.group.Closed() {
			left = true
			p.part(place{topic, user})
		}
	}, nil
}

// part notes one connection less. The user leaves later, unless there is another.
func (p *Presence) part(at place) {
	connections, _ := decode(p.group.Own(at.topic, at.user))
	_ = p.group.Put(at.topic, at.user, encode(connections-1)) // fails when closed only
	if connections > 1 {
		return
	}
	end := time.Now().Add(p.config.Grace)
	p.leaving = append(p.leaving, leaving{end, at})
	p.graces[at]++
	if len(p.leaving) == 1 {
		p.group.At(&p.leave, end)
	}
}

// endGraces has those leave who did not come back. One who came back and lost the
// connection again is in the list once more.
func (p *Presence) endGraces(now time.Time) {
	n := 0
	for ; n < len(p.leaving) && !p.leaving[n].end.After(now); n++ {
		at := p.leaving[n].place
		if p.graces[at]--; p.graces[at] > 0 {
			continue
		}
		delete(p.graces, at)
		if connections, _ := decode(p.group.Own(at.topic, at.user)); connections == 0 {
			_ = p.group.Put(at.topic, at.user, "")
		}
	}
	if p.leaving = p.leaving[n:]; len(p.leaving) > 0 {
		p.group.At(&p.leave, p.leaving[0].end)
	}
}

// encode makes the number of connections, which may be 0, a value of the mirror.
func encode(connections int) string {
	return string(binary.AppendUvarint(nil, uint64(connections)))
}

// decode is the inverse; there is false for no value.
func decode(value string) (connections int, there bool) {
	n, size := binary.Uvarint([]byte(value))
	return int(min(n, 1<<31-1)), size > 0
}
