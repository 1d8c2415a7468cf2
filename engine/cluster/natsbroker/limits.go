package natsbroker

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leastPerTopic returns the smallest limit of messages for a topic that a stream ever had. A
// topic with as many or more may have been cut to it.
func leastPerTopic(c *jetstream.StreamConfig) int64 {
	least, err := strconv.ParseInt(c.Metadata[metaPerTopic], 10, 64)
	if err != nil { // it never had another one
		return c.MaxMsgsPerSubject
	}
	return min(least, c.MaxMsgsPerSubject)
}

// changed returns the configuration of a stream with the limits that may be changed, and
// whether one of them is another one; c is without defaults.
func (c *Config) changed(have *jetstream.StreamConfig) (want jetstream.StreamConfig, changes bool) {
	want = *have
	may := func(larger bool) bool { return c.Change == ChangeAll || c.Change == ChangeLarger && larger }
	if n := int64(c.PerTopic); n != 0 && may(n > have.MaxMsgsPerSubject) {
		want.MaxMsgsPerSubject = n
	}
	if age := max(c.MaxAge, 0); c.MaxAge != 0 && may(longer(age, have.MaxAge)) {
		want.MaxAge = age
	}
	if c.Duplicates != 0 && may(c.Duplicates > have.Duplicates) {
		want.Duplicates = c.Duplicates
	}
	if want.MaxAge > 0 {
		want.Duplicates = min(want.Duplicates, want.MaxAge)
	}
	want.Metadata = maps.Clone(have.Metadata)
	want.Metadata[metaPerTopic] = strconv.FormatInt(min(leastPerTopic(have), want.MaxMsgsPerSubject), 10)
	return want, want.MaxMsgsPerSubject != have.MaxMsgsPerSubject || want.MaxAge != have.MaxAge || want.Duplicates != have.Duplicates
}

// longer reports whether messages of age a are kept longer than those of b; 0 is for ever.
func longer(a, b time.Duration) bool { return b != 0 && (a == 0 || a > b) }

// adapt changes the limits of a stream to those that are given, as far as it may.
func (s *shard) adapt(ctx context.Context, info *jetstream.StreamInfo) (*jetstream.StreamInfo, error) {
	want, changes := s.broker.given.changed(&info.Config)
	if !changes {
		return info, nil
	}
	stream, err := s.broker.js.UpdateStream(ctx, want)
	if err != nil {
		return nil, unavailable(fmt.Errorf("change the limits of stream %s: %w", s.stream(), err))
	}
	return stream.CachedInfo(), nil
}
