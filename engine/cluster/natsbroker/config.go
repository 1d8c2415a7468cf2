package natsbroker

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	// ErrConfig is wrapped by what Connect returns when it cannot work with a Config.
	ErrConfig = errors.New("natsbroker: config")
	// ErrDiffers is wrapped beside ErrConfig where PerTopic, MaxAge, MaxBytes, Replicas or
	// Duplicates is not what the streams have. Leave those zero to work with the streams
	// as they are.
	ErrDiffers = errors.New("not what the streams have")
)

// Config is how a Broker works. The zero value of each field means its default. Shards to
// Duplicates are those of the streams, which the first node makes. From then on zero takes
// what they have, and any other value has to be equal, or Connect returns ErrConfig. Change
// has it change PerTopic, MaxAge and Duplicates instead.
type Config struct {
	// URL is that of one or more servers, with commas between ("nats://127.0.0.1:4222").
	URL string
	// Options are further ones of the connection: credentials, TLS, or that of
	// natsserver's InProcess. Handlers of the connection's state are replaced.
	Options []nats.Option
	// Prefix begins the names of all streams and subjects ("fanloop"): letters, digits,
	// - and _.
	Prefix string
	// Shards is the number of streams (16). It can never change.
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
	// Change says which limits of existing streams Connect changes (ChangeNone).
	Change Change
	// ProbeEvery is the time between two messages by which the connection is tested
	// (5 s). One that delivers none for twice that is closed and made anew.
	ProbeEvery time.Duration
	// OnGap is called with the reason when live messages may have been lost, on any
	// goroutine. It must not block. Nodes are told without it.
	OnGap func(reason error)
}

// Change says which limits of existing streams Connect changes: PerTopic, MaxAge and
// Duplicates, where they are not zero. Give all nodes the same limits: the streams have those of
// the last node that changed them.
type Change int

const (
	ChangeNone Change = iota
	// ChangeLarger sets limits that are larger than before. What was removed by the smaller
	// ones stays away.
	ChangeLarger
	// ChangeAll sets smaller limits too. They remove messages at once, for good.
	ChangeAll
)

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

// fits returns ErrConfig if a stream is not what is set; c is without defaults.
func (c *Config) fits(have *jetstream.StreamConfig) error {
	duplicates := c.Duplicates
	if have.MaxAge > 0 {
		duplicates = min(duplicates, have.MaxAge)
	}
	for _, f := range []struct {
		name      string
		set       bool
		want, has any
	}{
		{"PerTopic", c.PerTopic != 0, int64(c.PerTopic), have.MaxMsgsPerSubject},
		{"MaxAge", c.MaxAge != 0, max(c.MaxAge, 0), have.MaxAge},
		{"MaxBytes", c.MaxBytes != 0, c.MaxBytes, have.MaxBytes},
		{"Replicas", c.Replicas != 0, c.Replicas, have.Replicas},
		{"Duplicates", c.Duplicates != 0, duplicates, have.Duplicates},
	} {
		if f.set && f.want != f.has {
			return fmt.Errorf("%w: %s %v is %w: %s has %v; leave it zero to take that, or change the streams",
				ErrConfig, f.name, f.want, ErrDiffers, have.Name, f.has)
		}
	}
	return nil
}

// What NATS answers where it takes no stream of such a configuration, now or later. The
// space for MaxBytes is reserved when the stream is made.
const (
	invalidStream    = jetstream.ErrorCode(10052)
	negativeReplicas = jetstream.ErrorCode(10133)
	noSpace          = jetstream.ErrorCode(10047)
)

// refused returns ErrConfig in place of err if that says that NATS refuses what is set, and
// not that it does not answer.
func (c *Config) refused(err error) error {
	var answer *jetstream.APIError
	if !errors.As(err, &answer) {
		return err
	}
	switch code := answer.ErrorCode; {
	case code == invalidStream, code == negativeReplicas:
		return fmt.Errorf("%w: NATS refuses the streams: %w", ErrConfig, answer)
	case code == noSpace && c.MaxBytes > 0:
		return fmt.Errorf("%w: MaxBytes %d, of each of the streams, is more than NATS has: %w", ErrConfig, c.MaxBytes, answer)
	}
	return err
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
