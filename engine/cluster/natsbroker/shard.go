package natsbroker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Metadata of the streams.
const (
	metaEpoch    = "fanloop.epoch"
	metaShards   = "fanloop.shards"
	metaPerTopic = "fanloop.per-topic" // see leastPerTopic
)

// shard is one stream.
type shard struct {
	names
	broker *Broker
	shards int
	asking chan struct{} // one element while the stream is asked
	state  atomic.Pointer[state]

	followers atomic.Int32 // of its topics
	beating   atomic.Bool  // a beat is under way
	heard     atomic.Int64 // when the last question was asked that the leader answered, since Broker.began
}

// state is what a stream said of itself.
type state struct {
	asked    time.Time // it is not older; zero: who said it may not be the leader any more
	epoch    string
	perTopic int64  // the smallest there ever was: topics may have been cut to it
	first    uint64 // its first message; one behind the last if there is none
	last     uint64
}

// openShards finds or makes the streams. The first says how many there are.
func (b *Broker) openShards(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 6*timeout)
	defer cancel()
	shards := b.config.Shards
	if shards == 0 {
		shards = defaultShards
	}
	var differs error // of the first one that does; the limits of all are changed before
	for i := 0; i < shards; i++ {
		s := &shard{names: names{b.config.Prefix, i}, broker: b, shards: shards, asking: make(chan struct{}, 1)}
		info, err := s.open(ctx)
		if err != nil {
			return b.config.refused(err)
		}
		have, err := strconv.Atoi(info.Config.Metadata[metaShards])
		switch {
		case err != nil || info.Config.Metadata[metaEpoch] == "":
			return fmt.Errorf("%w: stream %s is not one of ours; choose another Prefix", ErrConfig, s.stream())
		case have != shards && (b.config.Shards != 0 || i > 0):
			return fmt.Errorf("%w: stream %s is one of %d; Shards is %d", ErrConfig, s.stream(), have, shards)
		}
		if info, err = s.adapt(ctx, info); err != nil {
			return b.config.refused(err)
		}
		differs = cmp.Or(differs, b.given.fits(&info.Config))
		shards, s.shards = have, have
		s.learn(info, time.Now())
		b.shards = append(b.shards, s)
	}
	return differs
}

func (b *Broker) shardOf(topic string) *shard {
	return b.shards[shardOf(topic, len(b.shards))]
}

// patience is how long the first question waits for an answer before it is asked again.
// While a stream has no leader, or the cluster has none, nobody answers.
const patience = 2 * time.Second

// open returns the stream, made with a new epoch if it is not there. It asks until ctx ends.
func (s *shard) open(ctx context.Context, options ...jetstream.StreamInfoOpt) (info *jetstream.StreamInfo, err error) {
	for wait := patience; ; wait *= 2 {
		attempt, cancel := context.WithTimeout(ctx, wait)
		info, err = s.look(attempt, options...)
		cancel()
		switch {
		case err == nil:
			return info, nil
		case ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded):
			return nil, unavailable(fmt.Errorf("stream %s: %w", s.stream(), err))
		}
	}
}

// look asks once, again only if another node made the stream meanwhile.
func (s *shard) look(ctx context.Context, options ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	for {
		stream, err := s.broker.js.Stream(ctx, s.stream())
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			stream, err = s.broker.js.CreateStream(ctx, s.broker.config.stream(s.shard, s.shards, nuid.Next()))
		}
		switch {
		case errors.Is(err, jetstream.ErrStreamNameAlreadyInUse): // another node was faster
			continue
		case err != nil:
			return nil, err
		case len(options) == 0:
			return stream.CachedInfo(), nil
		}
		return stream.Info(ctx, options...)
	}
}

// learn keeps what the stream said.
func (s *shard) learn(info *jetstream.StreamInfo, asked time.Time) *state {
	n := &state{
		asked:    asked,
		epoch:    info.Config.Metadata[metaEpoch],
		perTopic: leastPerTopic(&info.Config),
		first:    info.State.FirstSeq,
		last:     info.State.LastSeq,
	}
	if info.State.Msgs == 0 {
		n.first = n.last + 1
	}
	if electorate(s.stream(), info.Cluster, lease) != nil {
		n.asked = time.Time{} // there may be another leader, who has more
	}
	s.state.Store(n)
	return n
}

// ask returns what the stream says of itself, not older than since. Those who ask
// at the same time share the answer.
func (s *shard) ask(ctx context.Context, since time.Time) (*state, error) {
	select {
	case s.asking <- struct{}{}:
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
	defer func() { <-s.asking }()
	if have := s.state.Load(); have.asked.After(since) {
		return have, nil
	}
	asked := time.Now()
	info, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	return s.learn(info, asked), electorate(s.stream(), info.Cluster, lease)
}

// lease is how long a leader may not have heard of the others of which more than half are
// needed: those choose no other leader before. One that was stopped, or is cut off, takes itself
// for the leader still.
const lease = 3500 * time.Millisecond

// leaderGet asks for one message: by its sequence, as the last of a subject, or as
// the first of a subject from a sequence on.
type leaderGet struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"`
}

// storedMessage is one message as the leader of a stream returns it.
type storedMessage struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Header   []byte    `json:"hdrs"`
	Data     []byte    `json:"data"`
	Time     time.Time `json:"time"`
}

func (m *storedMessage) message(topic string) *cluster.Message {
	header, _ := nats.DecodeHeadersMsg(m.Header)
	return &cluster.Message{
		Topic:  topic,
		Epoch:  epochOf(m.Subject),
		Offset: m.Sequence,
		ID:     idOf(header.Get(jetstream.MsgIDHeader), m.Sequence),
		Time:   m.Time,
		Data:   m.Data,
	}
}

// get asks the leader of the stream, who has everything; a Direct Get may be
// answered by a replica that is behind. Without such a message it returns nil.
func (s *shard) get(ctx context.Context, what leaderGet) (*storedMessage, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	reply, err := s.broker.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+s.stream(), body)
	if err != nil {
		return nil, unavailable(err)
	}
	var answer struct {
		Message *storedMessage      `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, unavailable(err)
	}
	switch {
	case answer.Error == nil && answer.Message != nil:
		return answer.Message, nil
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeStreamNotFound:
		return nil, nil // asking the stream makes it
	case answer.Error != nil:
		return nil, unavailable(answer.Error)
	}
	return nil, unavailable(errors.New("an answer without message"))
}
