package protocol_test

import (
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// events reads a stream as the HTML standard says, for lines that end with LF.
func events(t *testing.T, stream string) (data []string, id, retry string) {
	t.Helper()
	var lines []string
	for line := range strings.SplitSeq(stream, "\n") {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case strings.ContainsRune(line, '\r'):
			t.Errorf("%q has another line end", line)
		case line == "":
			if len(lines) > 0 {
				data = append(data, strings.Join(lines, "\n"))
			}
			lines = nil
		case name == "data":
			lines = append(lines, value)
		case name == "id":
			id = value
		case name == "retry":
			retry = value
		}
	}
	return data, id, retry
}

// X42: an event has the frames of a batch as a WebSocket message has them, and the
// first one has the session.
func TestEventsHoldTheFramesOfABatch(t *testing.T) {
	first, _ := protocol.JSON.Append(nil, &protocol.Connected{Version: 1, State: protocol.Reset, Session: "s.1"})
	m := &protocol.Message{Topic: "a\r\nb: \u2028", Offset: 1, ID: "x"}
	m.Data = protocol.Data(`"line\r\nid: 7"`)
	batch, _ := protocol.JSON.Append(nil, &protocol.Note{Topic: "data: x"})
	batch = protocol.JSON.AppendMessage(batch, m)
	stream := protocol.AppendEvent(nil, "s.1", 2731, first)
	stream = append(stream, protocol.Beat...)
	stream = protocol.AppendEvent(stream, "", 0, batch)
	data, id, retry := events(t, string(stream))
	if len(data) != 2 || data[0] != string(first) || data[1] != string(batch) || id != "s.1" || retry != "2731" {
		t.Errorf("%q, id %q, retry %q", data, id, retry)
	}
}
