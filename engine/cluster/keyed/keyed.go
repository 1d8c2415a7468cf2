package keyed

import (
	"container/list"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/internal/mirror"
)

// MaxKey is the length of a key at most, in bytes.
const MaxKey = 128

// Errors that are returned as they are or wrapped.
var (
	// ErrKey: the key is empty or longer than MaxKey.
	ErrKey = errors.New("keyed: a key has 1 to 128 bytes")
	// ErrTooLarge: the value is larger than Config.MaxValue.
	ErrTooLarge = errors.New("keyed: the value is larger than Config.MaxValue")
	// ErrFull: this node has Config.MaxKeys values in the topic.
	ErrFull = errors.New("keyed: the topic has Config.MaxKeys values of this node; wait until some are gone")
	// ErrOwner: the owner has Config.MaxOwned values in the topic, by this node.
	ErrOwner = errors.New("keyed: the owner has Config.MaxOwned values in the topic; delete one, or wait until one is gone")
)

// Config is how a Keyed works. The zero value of each field means its default.
type Config struct {
	// Name keeps several apart on one bus ("keyed"): letters, digits, - and _.
	Name string
	// Lifetime is how long a value lives after it was set (30 s). It is the same on all
	// nodes. Use a Keyed for each kind of values that needs another.
	Lifetime time.Duration
	// Every is the time between two batches of a topic, to a subscriber and to other
	// nodes (100 ms).
	Every time.Duration
	// Rate is how many values of a topic a subscriber gets in a second, and this node
	// sends to others (500). A new subscriber gets those of one second at once.
	Rate int
	// MaxKeys is how many values this node has in one topic (10 000; 65 536 at most).
	MaxKeys int
	// MaxOwned is how many of them one owner has, as SetFor names it (0: no bound).
	MaxOwned int
	// MaxValue is the size of a value, in bytes (4096; 8192 at most).
	MaxValue int
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "keyed"
	}
	c.Lifetime = orDefault(c.Lifetime, 30*time.Second)
	c.Every = orDefault(c.Every, 100*time.Millisecond)
	c.Rate = orDefault(c.Rate, 500)
	c.MaxKeys = min(orDefault(c.MaxKeys, 10000), 1<<16)
	c.MaxValue = min(orDefault(c.MaxValue, 4096), 8192) // a bucket of the mirror is one message
	return c
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Keyed is the part of a node that has keyed topics. Its methods may be called by
// any goroutine.
type Keyed struct {
	config Config        // immutable
	group  *mirror.Group // its mutex guards all below, and all boards

	clock uint64                  // the latest version that was given or seen
	ahead uint64                  // of this node's clock is another's, so far as is known
	own   map[place]*list.Element // values of this node, in ends
	owned map[place]int           // how many of them an owner has in a topic; the key is the owner
	ends  list.List               // of *own, in the order of their ends
	end   mirror.Task             // at the first of them
}

// place is a key of a topic.
type place struct{ topic, key string }

// own is a value of this node.
type own struct {
	place
	end   time.Time
	owner string // of a value that is not deleted; empty: nobody
	// version is that of the last Set, which the others do not have where it changed
	// nothing.
	version uint64
}

// New returns a Keyed that talks to those of the same name on other nodes by the
// bus. Close it before the bus.
func New(bus cluster.Bus, config Config) (*Keyed, error) {
	k := &Keyed{config: config.withDefaults(), own: make(map[place]*list.Element), owned: make(map[place]int)}
	k.end.Do = k.expire
	group, err := mirror.New(bus, mirror.Config{
		Kind:   "keyed-" + k.config.Name,
		Flush:  k.config.Every,
		Most:   k.perBatch(),
		Change: k.change,
	})
	if err != nil {
		return nil, err
	}
	k.group = group
	return k, nil
}

// perBatch is how many values Config.Rate allows in Config.Every.
func (k *Keyed) perBatch() int {
	return max(1, int(int64(k.config.Rate)*int64(k.config.Every)/int64(time.Second)))
}

// Close ends all subscriptions and returns when no notify is called any more. In a notify
// it does not wait. The values of this node are gone.
func (k *Keyed) Close() { k.group.Close() }

// Set sets the value of a key, for Config.Lifetime. Subscribers on this node get it
// with the next batch, those on other nodes about Config.Every later, and nothing
// where the value is the same as before. data may be changed afterwards.
func (k *Keyed) Set(topic, key string, data []byte) error { return k.SetFor("", topic, key, data) }

// SetFor is Set for an owner, who has up to Config.MaxOwned values in a topic. A value that
// somebody else sets, or that is deleted, is not the owner's any more.
func (k *Keyed) SetFor(owner, topic, key string, data []byte) error {
	if len(data) > k.config.MaxValue {
		return fmt.Errorf("%w: %d bytes; the limit is %d", ErrTooLarge, len(data), k.config.MaxValue)
	}
	return k.put(place{topic, key}, owner, false, data)
}

// Delete takes away the value of a key, whoever set it. It takes the place of a
// value for Config.Lifetime.
func (k *Keyed) Delete(topic, key string) error { return k.put(place{topic, key}, "", true, nil) }

func (k *Keyed) put(at place, owner string, gone bool, data []byte) error {
	if err := cluster.CheckTopic(at.topic); err != nil {
		return err
	}
	if at.key == "" || len(at.key) > MaxKey {
		return ErrKey
	}
	k.group.Lock()
	defer k.group.Unlock()
	element := k.own[at]
	if element == nil && k.group.Size(at.topic) >= k.config.MaxKeys {
		return ErrFull
	}
	if !k.mayOwn(owner, at.topic, element) {
		return ErrOwner
	}
	now := time.Now()
	version := max(uint64(now.UnixMicro())+k.ahead, k.clock+1)
	if t := k.group.Topic(at.topic); gone || element == nil || t == nil || !boardOf(k, t).shows(at.key, k.group.ID(), data) {
		if err := k.group.Put(at.topic, at.key, encode(version, gone, data)); err != nil {
			return err
		}
	}
	if element == nil {
		element = k.ends.PushBack(&own{place: at})
		k.own[at] = element
	}
	k.ends.MoveToBack(element)
	o := element.Value.(*own)
	o.version, o.end = version, now.Add(k.config.Lifetime)
	k.give(o, owner)
	k.clock = version
	k.planEnd()
	return nil
}

// mayOwn reports whether an owner may have the value of an element, which is nil if there is
// none yet.
func (k *Keyed) mayOwn(owner, topic string, element *list.Element) bool {
	if owner == "" || k.config.MaxOwned <= 0 || element != nil && element.Value.(*own).owner == owner {
		return true
	}
	return k.owned[place{topic, owner}] < k.config.MaxOwned
}

// give gives a value to an owner, and takes it from the one before.
func (k *Keyed) give(o *own, owner string) {
	if o.owner == owner {
		return
	}
	if before := (place{o.topic, o.owner}); o.owner != "" {
		if k.owned[before]--; k.owned[before] == 0 {
			delete(k.owned, before)
		}
	}
	if o.owner = owner; owner != "" {
		k.owned[place{o.topic, owner}]++
	}
}

// expire takes away the values of this node whose time is over.
func (k *Keyed) expire(now time.Time) {
	for e := k.ends.Front(); e != nil; e = k.ends.Front() {
		o := e.Value.(*own)
		if o.end.After(now) {
			break
		}
		k.ends.Remove(e)
		delete(k.own, o.place)
		k.give(o, "")
		_ = k.group.Put(o.topic, o.key, "") // fails when closed only
	}
	k.planEnd()
}

func (k *Keyed) planEnd() {
	end := time.Time{}
	if e := k.ends.Front(); e != nil {
		end = e.Value.(*own).end
	}
	k.group.At(&k.end, end)
}

// change is called for each value of each node.
func (k *Keyed) change(t *mirror.Topic, node mirror.ID, key, _, value string) {
	if v := decode(value).version; node != k.group.ID() && v > 0 && v < uint64(1)<<63 {
		now := uint64(time.Now().UnixMicro())
		k.clock, k.ahead = max(k.clock, v), max(k.ahead, max(v, now)-now)
		k.renew(place{t.Name, key}, v)
	}
	boardOf(k, t).change(key, node, value)
}

// renew gives a value of this node the version of its last Set, if that makes it later
// than another, and the version that the other nodes have does not.
func (k *Keyed) renew(at place, other uint64) {
	element := k.own[at]
	if element == nil {
		return
	}
	value, version := decode(k.group.Own(at.topic, at.key)), element.Value.(*own).version
	if value.version <= other && other <= version && value.version < version {
		_ = k.group.Put(at.topic, at.key, encode(version, value.gone, []byte(value.data))) // fails when closed only
	}
}

// renewAll is for a topic in which this node does not see what the others have any more.
func (k *Keyed) renewAll(topic string, b *board) {
	for key := range b.slots {
		if element := k.own[place{topic, key}]; element != nil {
			k.renew(place{topic, key}, element.Value.(*own).version)
		}
	}
}

// encode makes a value of the mirror: version, whether it is gone, and the data.
func encode(version uint64, gone bool, data []byte) string {
	b := make([]byte, 0, 9+len(data))
	b = binary.BigEndian.AppendUint64(b, version)
	if gone {
		return string(append(b, 1))
	}
	return string(append(append(b, 0), data...))
}

// versioned is a value of the mirror. The zero one is none.
type versioned struct {
	version uint64
	gone    bool
	data    string
}

// decode is the inverse of encode. What is no value is none.
func decode(value string) versioned {
	if len(value) < 9 {
		return versioned{}
	}
	return versioned{binary.BigEndian.Uint64([]byte(value[:8])), value[8] != 0, value[9:]}
}
