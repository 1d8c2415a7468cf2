package natsbroker

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash/fnv"
	"strings"
)

// names are those of one shard.
type names struct {
	prefix string
	shard  int
}

func (n names) stream() string { return fmt.Sprintf("%s-%d", n.prefix, n.shard) }

func (n names) stored(epoch, token string) string {
	return fmt.Sprintf("%s.topic.%d.%s.%s", n.prefix, n.shard, epoch, token)
}

func (n names) live(epoch, token string) string {
	return fmt.Sprintf("%s.live.%d.%s.%s", n.prefix, n.shard, epoch, token)
}

// epochOf returns the epoch in a subject of stored or live, which has no dots in
// its other parts.
func epochOf(subject string) string {
	parts := strings.Split(subject, ".")
	if len(parts) != 5 {
		return ""
	}
	return parts[3]
}

// plain reports whether b is itself in a token.
func plain(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '-' || b == '_'
}

// tokenOf makes the name of a topic one token of a subject. Two names never make
// the same.
func tokenOf(topic string) string {
	const digits = "0123456789ABCDEF"
	var token strings.Builder
	for i := range len(topic) {
		if b := topic[i]; plain(b) {
			token.WriteByte(b)
		} else {
			token.Write([]byte{'=', digits[b>>4], digits[b&15]})
		}
	}
	return token.String()
}

// shardOf returns the shard of a topic. It may never change: what is stored is
// found by it.
func shardOf(topic string, shards int) int {
	h := fnv.New64a()
	h.Write([]byte(topic))
	return int(h.Sum64() % uint64(shards))
}

// msgID is the id by which the stream of a topic knows a publish: a stream keeps
// ids for all its subjects, so the topic is in it. The dot at the end keeps
// spaces before it.
func msgID(topic, id string) string {
	sum := sha256.Sum256([]byte(topic))
	return base64.RawURLEncoding.EncodeToString(sum[:12]) + ":" + id + "."
}

// idOf is the inverse of msgID; a message of another origin gets a name by its
// place.
func idOf(msgID string, offset uint64) string {
	if _, id, ok := strings.Cut(msgID, ":"); ok && strings.HasSuffix(id, ".") {
		return id[:len(id)-1]
	}
	return fmt.Sprintf("#%d", offset)
}
