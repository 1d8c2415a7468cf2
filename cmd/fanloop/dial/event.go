package dial

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/engine"
)

// event is what stdout shows: a message, or with --json and on a terminal also
// another thing that happened on the connection.
type event struct {
	kind    eventKind
	op      engine.OpCode // of a message
	payload []byte        // of a message, ping or pong; borrowed
	ws      *engine.WebSocket
	code    engine.StatusCode // of a close
	reason  string            // of a close
}

// eventKind is the name of an event in JSON.
type eventKind string

const (
	opened  eventKind = "open"
	message eventKind = "message"
	pinged  eventKind = "ping"
	ponged  eventKind = "pong"
	closed  eventKind = "close"
)

// format appends what stdout shows of an event.
type format func(dst []byte, ev *event) []byte

// formatRaw writes messages as they came.
func formatRaw(dst []byte, ev *event) []byte {
	if ev.kind != message {
		return dst
	}
	return append(dst, ev.payload...)
}

// formatLine writes messages as lines: text as it is, binary as hex.
func formatLine(dst []byte, ev *event) []byte {
	switch {
	case ev.kind != message:
		return dst
	case ev.op == engine.Binary:
		return append(hex.AppendEncode(dst, ev.payload), '\n')
	}
	return append(append(dst, ev.payload...), '\n')
}

// formatVisible is formatLine for a terminal, which no message can command.
func formatVisible(dst []byte, ev *event) []byte {
	if ev.kind != message || ev.op == engine.Binary {
		return formatLine(dst, ev)
	}
	return append(appendVisible(dst, ev.payload), '\n')
}

// jsonEvent is an event as --json writes it.
type jsonEvent struct {
	Event       eventKind           `json:"event"`
	Time        time.Time           `json:"time"`
	Type        string              `json:"type,omitempty"`   // of a message: text or binary
	Data        *string             `json:"data,omitempty"`   // of a text message
	Base64      *string             `json:"base64,omitempty"` // of a binary message, ping or pong
	URL         string              `json:"url,omitempty"`    // of an open, like those below
	Subprotocol string              `json:"subprotocol,omitempty"`
	Extensions  string              `json:"extensions,omitempty"`
	Headers     map[string][]string `json:"headers,omitempty"`
	Code        engine.StatusCode   `json:"code,omitempty"` // of a close, like those below
	Reason      string              `json:"reason,omitempty"`
	Error       string              `json:"error,omitempty"`
}

// formatJSON writes every event as an object on a line of its own. to and headers
// are those of the current connection.
func formatJSON(to string, headers func() map[string][]string) format {
	return func(dst []byte, ev *event) []byte {
		j := jsonEvent{Event: ev.kind, Time: time.Now()}
		switch ev.kind {
		case opened:
			j.URL, j.Subprotocol, j.Extensions, j.Headers = to, ev.ws.Subprotocol(), ev.ws.Extensions(), headers()
		case closed:
			j.Code, j.Reason, j.Error = ev.code, ev.reason, cause(ev.ws.Err())
		case message:
			if j.Type = "text"; ev.op == engine.Binary {
				j.Type = "binary"
			}
		}
		if ev.op == engine.Text {
			text := string(ev.payload)
			j.Data = &text
		} else if ev.kind != opened && ev.kind != closed {
			bytes := base64.StdEncoding.EncodeToString(ev.payload)
			j.Base64 = &bytes
		}
		line, _ := json.Marshal(j) // strings and numbers only
		return append(append(dst, line...), '\n')
	}
}

// appendVisible appends text with control characters written as escapes, so
// that a message is one line and cannot command the terminal.
func appendVisible(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.IsControl(r) && r != '\t' {
			dst = fmt.Appendf(dst, `\x%02x`, r)
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}
