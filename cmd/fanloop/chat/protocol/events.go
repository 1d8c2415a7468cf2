package protocol

import (
	"bytes"
	"strconv"
)

// AppendEvent appends one event of a stream, with frames in JSON that Append and Join
// made. id is the session, in the event of a stream that has it first; retry is in milliseconds.
// Both may be missing.
func AppendEvent(stream []byte, id string, retry int64, frames []byte) []byte {
	if id != "" {
		stream = append(append(stream, "id: "...), id...)
		stream = append(stream, '\n')
	}
	if retry > 0 {
		stream = strconv.AppendInt(append(stream, "retry: "...), retry, 10)
		stream = append(stream, '\n')
	}
	for frame := range bytes.Lines(frames) {
		stream = append(append(stream, "data: "...), bytes.TrimSuffix(frame, []byte{'\n'})...)
		stream = append(stream, '\n')
	}
	return append(stream, '\n')
}

// Beat is what a stream sends so that nobody takes it for dead. A client ignores it.
const Beat = ":\n\n"
