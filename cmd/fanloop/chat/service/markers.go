package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

const (
	markerBucket = "fanloop-markers"
	// markerTries is how often a marker is moved that another node moves at the same time.
	markerTries = 10
)

// markers are how far users have read, in a bucket that all nodes share. Its methods
// wait for the store, and may be called by any goroutine.
type markers struct {
	nc       *nats.Conn
	replicas int
	// lifetime is that of messages: when a marker is forgotten, all that are kept came
	// after it.
	lifetime time.Duration

	mu     sync.Mutex
	bucket jetstream.KeyValue // guarded by mu; nil: not opened yet
}

// open returns the bucket, which is made by the node that needs it first.
func (m *markers) open(ctx context.Context) (jetstream.KeyValue, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.bucket != nil {
		return m.bucket, nil
	}
	js, err := jetstream.New(m.nc)
	if err != nil {
		return nil, err
	}
	bucket, err := js.KeyValue(ctx, markerBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
			Bucket: markerBucket, Description: "how far users have read", TTL: m.lifetime, Replicas: m.replicas,
		})
	}
	if errors.Is(err, jetstream.ErrBucketExists) { // another node was faster
		bucket, err = js.KeyValue(ctx, markerBucket)
	}
	if err == nil {
		bucket, err = m.prolong(ctx, js, bucket)
	}
	if err == nil {
		m.bucket = bucket
	}
	return bucket, err
}

// prolong has markers live as long as messages do, if the bucket was made when those were kept
// for a shorter time.
func (m *markers) prolong(ctx context.Context, js jetstream.JetStream, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
	status, err := bucket.Status(ctx)
	if err != nil || status.TTL() == 0 || status.TTL() >= m.lifetime {
		return bucket, err
	}
	config := status.Config()
	config.TTL = m.lifetime
	return js.UpdateKeyValue(ctx, config)
}

// get returns the marker of a user in a topic; nil: there is none. revision is for put.
func (m *markers) get(ctx context.Context, user, topic string) (marker *protocol.Marker, revision uint64, err error) {
	bucket, err := m.open(ctx)
	if err != nil {
		return nil, 0, unavailable(err)
	}
	entry, err := bucket.Get(ctx, markerKey(user, topic))
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		return nil, 0, nil
	case err != nil:
		return nil, 0, unavailable(err)
	}
	marker = new(protocol.Marker)
	if err := cbor.Unmarshal(entry.Value(), marker); err != nil {
		return nil, 0, fmt.Errorf("service: a stored marker cannot be read: %w", err)
	}
	return marker, entry.Revision(), nil
}

// move replaces the marker by what next makes of it, and reports whether that is another.
func (m *markers) move(ctx context.Context, user, topic string, next func(protocol.Marker) protocol.Marker) (marker protocol.Marker, moved bool, err error) {
	for range markerTries {
		old, revision, err := m.get(ctx, user, topic)
		if err != nil {
			return marker, false, err
		}
		if marker = (protocol.Marker{}); old != nil {
			marker = *old
		}
		changed := next(marker)
		if changed == marker {
			return marker, false, nil
		}
		err = m.put(ctx, markerKey(user, topic), revision, &changed)
		if err == nil {
			return changed, true, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) { // somebody else moved it
			return marker, false, unavailable(err)
		}
		select {
		case <-time.After(20 * time.Millisecond): // a replica may be behind
		case <-ctx.Done():
		}
	}
	return marker, false, cluster.ErrUnavailable
}

// put stores a marker unless another one came after revision: that is ErrKeyExists.
func (m *markers) put(ctx context.Context, key string, revision uint64, marker *protocol.Marker) error {
	value, err := cbor.Marshal(marker)
	if err != nil {
		return err
	}
	bucket, err := m.open(ctx)
	if err != nil {
		return err
	}
	if revision == 0 {
		_, err = bucket.Create(ctx, key, value)
	} else {
		_, err = bucket.Update(ctx, key, value, revision)
	}
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence {
		return jetstream.ErrKeyExists
	}
	return err
}

// markerKey has the topic and the user as two tokens.
func markerKey(user, topic string) string { return names.Encode(topic) + "." + names.Encode(user) }

// unavailable is an error of the store that is to be tried again.
func unavailable(err error) error { return fmt.Errorf("%w: %w", cluster.ErrUnavailable, err) }
