package service

import "github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"

// encodings are those that clients may choose.
var encodings = [...]protocol.Encoding{protocol.JSON, protocol.CBOR}

// liveKind and presenceKind are in the names of the engine's topics, besides plainKind and the
// kinds of keyed values.
const (
	liveKind     = "live"
	presenceKind = "presence"
)

// sharedTopic is the engine's topic of frames of one kind that all subscribers get.
func sharedTopic(e protocol.Encoding, kind, topic string) string {
	return prefixOf(e) + kind + ":" + topic
}

// prefixOf begins all topics of the engine of an encoding.
func prefixOf(e protocol.Encoding) string {
	if e == protocol.CBOR {
		return "cbor:"
	}
	return "json:"
}

// share sends a frame to all on this node who are subscribed to a kind of a topic.
func (s *Service) share(kind, topic string, f protocol.Frame) {
	for _, e := range encodings {
		frame, err := e.Append(nil, f)
		if err != nil {
			s.unencoded(f, err)
			continue
		}
		// Who misses it gets what follows: nothing of this is kept.
		_, _ = s.server.Publish(sharedTopic(e, kind, topic), messageIn(e, frame))
	}
}
