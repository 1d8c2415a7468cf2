package dial

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
)

// details are lines about what was agreed with the server, what it declined, and
// what it answered.
func (t *talk) details(ws *engine.WebSocket) string {
	lines := "  address " + ws.RemoteAddr().String()
	if state := ws.TLS(); state != nil {
		lines += t.tls.Details(state)
	}
	if declined := t.declined(ws); len(declined) > 0 {
		lines += "\n  declined: " + strings.Join(declined, ", ")
	}
	lines += fmt.Sprintf("\n  answer: %d %s", t.answer.Status, appendVisible(nil, []byte(t.answer.Reason)))
	for name, value := range t.answer.Headers() {
		lines += "\n    " + name + ": " + string(appendVisible(nil, []byte(value)))
	}
	return lines
}

// declined are the offers that the server did not take up.
func (t *talk) declined(ws *engine.WebSocket) (all []string) {
	if !slices.Contains(t.subprotocols, ws.Subprotocol()) {
		for _, name := range t.subprotocols {
			all = append(all, "subprotocol "+name)
		}
	}
	if t.opt.Compression != nil && ws.Extensions() == "" {
		all = append(all, "permessage-deflate")
	}
	return all
}
