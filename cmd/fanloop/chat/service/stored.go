package service

import (
	"fmt"
	"log/slog"
	"math"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// storedBody is a body as the store has it.
func storedBody(body *protocol.Body) ([]byte, error) { return cbor.Marshal(body) }

// bodyOf reads what storedBody wrote. With an error it is unreadable: no client could read it,
// as with data of an earlier version that was not checked, or this program did not write it.
func bodyOf(stored []byte) (body protocol.Body, err error) {
	if err = cbor.Unmarshal(stored, &body); err == nil {
		err = protocol.CheckData(&body.Data, math.MaxInt)
	}
	if err != nil {
		return protocol.Body{Kind: protocol.KindUnreadable}, fmt.Errorf("service: a stored message cannot be read: %w", err)
	}
	return body, nil
}

// messageOf is a stored message as clients get it, without its topic. One that cannot be read
// keeps its place: a client that does not get it is at a hole.
func (s *Service) messageOf(m *cluster.Message) protocol.Message {
	body, err := bodyOf(m.Data)
	if err != nil {
		s.faults.unreadable.Log(s.log, slog.LevelWarn, "a stored message cannot be read; clients get it with the kind unreadable",
			slog.Uint64("offset", m.Offset), slog.Any("err", err))
	}
	return protocol.Message{Offset: m.Offset, Prev: m.Prev, ID: m.ID, Time: m.Time.UnixMilli(), Body: body}
}

func (s *Service) messagesOf(all []cluster.Message) []protocol.Message {
	list := make([]protocol.Message, len(all))
	for i := range all {
		list[i] = s.messageOf(&all[i])
	}
	return list
}
