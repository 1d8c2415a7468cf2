package natsbroker

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrConfig is wrapped by what Connect returns when it cannot work with a Config.
var ErrConfig = errors.New("natsbroker: config")

// Config is how a Broker works. The zero value of each field means its default.
type Config struct {
	// URL is that of one or more servers, with commas between ("nats://127.0.0.1:4222").
	URL string
	// Options are further ones of the connection: credentials, TLS, or that of
	// natsserver's InProcess. Handlers of the connection's state are replaced.
	Options []nats.Option
	// Prefix begins the names of all streams and subjects ("fanloop"): letters, digits,
	// - and _.
	Prefix string
	// Shards is the number of streams (16). It is fixed when they are made: a value
	// that is not what they have is an error, and zero takes what they have.
	Shards int
	// PerTopic is how many messages of a topic are kept (1000).
	PerTopic int
	// MaxAge is how long a message is kept (24 h); negative: for ever.
	MaxAge time.Duration
	// MaxBytes is for one shard, with all its topics (no limit). NATS reserves it, if
	// set.
	MaxBytes int64
	// Replicas is the number of servers that have each message: 1 or 3 (1).
	Replicas int
	// Duplicates is how long ids are remembered (1 min), at most MaxAge.
	Duplicates time.Duration
	// ProbeEvery is the time between two messages by which the connection is tested
	// (5 s). One that delivers none for twice that is closed and made anew.
	ProbeEvery time.Duration
	// OnGap is called with the reason when live messages may have been lost, on any
	// goroutine. It must not block. Nodes are told without it.
	OnGap func(reason error)
}

const (
	defaultShards = 16
	// timeout is for a request at most.
	timeout = 5 * time.Second
	// queued is how many live messages may wait in this process, for each lane.
	queued   = 4096
	lanes    = 4
	busLanes = 2
)

func (c Config) withDefaults() (Config, error) {
	if c.URL == "" {
		c.URL = nats.DefaultURL
	}
	if c.Prefix == "" {
		c.Prefix = "fanloop"
	}
	for _, b := range []byte(c.Prefix) {
		if !plain(b) {
			return c, fmt.Errorf("%w: Prefix %q: only letters, digits, - and _ are allowed", ErrConfig, c.Prefix)
		}
	}
	if c.PerTopic == 0 {
		c.PerTopic = 1000
	}
	if c.MaxAge == 0 {
		c.MaxAge = 24 * time.Hour
	}
	c.MaxAge = max(c.MaxAge, 0) // NATS's own for no limit
	if c.MaxBytes == 0 {
		c.MaxBytes = -1
	}
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.Duplicates == 0 {
		c.Duplicates = time.Minute
	}
	if c.MaxAge > 0 {
		c.Duplicates = min(c.Duplicates, c.MaxAge)
	}
	if c.ProbeEvery == 0 {
		c.ProbeEvery = 5 * time.Second
	}
	if c.Shards < 0 || c.PerTopic < 0 || c.ProbeEvery < 0 || c.Duplicates < 0 {
		return c, fmt.Errorf("%w: Shards, PerTopic, Duplicates and ProbeEvery are not negative", ErrConfig)
	}
	return c, nil
}

// stream is the configuration of one shard.
func (c *Config) stream(shard, shards int, epoch string) jetstream.StreamConfig {
	n := names{prefix: c.Prefix, shard: shard}
	return jetstream.StreamConfig{
		Name:              n.stream(),
		Description:       "histories of topics; do not delete messages in the middle",
		Subjects:          []string{n.stored(epoch, "*")},
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		MaxConsumers:      -1,
		MaxMsgs:           -1,
		MaxBytes:          c.MaxBytes,
		MaxAge:            c.MaxAge,
		MaxMsgsPerSubject: int64(c.PerTopic),
		MaxMsgSize:        -1,
		Storage:           jetstream.FileStorage,
		Replicas:          c.Replicas,
		Duplicates:        c.Duplicates,
		AllowDirect:       true,
		DenyDelete:        true,
		DenyPurge:         true,
		RePublish:         &jetstream.RePublish{Source: n.stored(epoch, "*"), Destination: n.live(epoch, "{{wildcard(1)}}")},
		Metadata:          map[string]string{metaEpoch: epoch, metaShards: fmt.Sprint(shards)},
	}
}
