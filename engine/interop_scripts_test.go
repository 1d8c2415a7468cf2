package engine_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// How engine.Server and engine.Dial get on with Node's ws.
func TestInteropDialToNodeWS(t *testing.T) { nodeWS(t).testServer(t) }
func TestInteropServeNodeWS(t *testing.T)  { nodeWS(t).testClient(t) }

// How they get on with Python's websockets.
func TestInteropDialToPythonWebsockets(t *testing.T) { pythonWebsockets(t).testServer(t) }
func TestInteropServePythonWebsockets(t *testing.T)  { pythonWebsockets(t).testClient(t) }

// scriptConfig is what the scripts have to know of the contract.
func scriptConfig(url string) map[string]any {
	return map[string]any{
		"url": url, "largest": largest, "subprotocol": subprotocol, "lengths": lengthBorders,
		"unicode": unicodeText, "payload": pingedPayload, "byeCode": byeCode, "byeReason": byeReason,
		"leaveCode": leaveCode, "leaveReason": leaveReason,
	}
}

// testServer proves engine.Dial against the script's server.
func (s script) testServer(t *testing.T) {
	lines := s.start(t, "serve", scriptConfig(""))
	var ready struct{ Address string }
	decode(t, within(t, "the server's address", lines), &ready)
	ends := make(chan closeReport, 256)
	go func() {
		for line := range lines {
			end := closeReport{Reason: line} // unless it is a report
			_ = json.Unmarshal([]byte(line), &end)
			if end.Path != "/drop" {
				ends <- end
			}
		}
	}()
	testDial(t, &foreignServer{ready.Address, ends})
}

// testClient proves engine.Server against the script's client.
func (s script) testClient(t *testing.T) {
	addr, ends := interopServer(t)
	lines := s.start(t, "dial", scriptConfig("ws://"+addr))
	for _, name := range []string{
		"echo", "fragments in", "fragments out", "ping", "pong", "large", "subprotocol",
		"server closes", "server drops", "client drops", "many",
	} {
		var outcome struct {
			Name, Error string
			Ends        []closeReport
		}
		decode(t, within(t, "the outcome of "+name, lines), &outcome)
		t.Run(outcome.Name, func(t *testing.T) {
			if outcome.Name != name || outcome.Error != "" || len(outcome.Ends) == 0 {
				t.Fatalf("want %q without an error, got %+v", name, outcome)
			}
			for range outcome.Ends {
				if got := within(t, "OnClose", ends); !slices.Contains(outcome.Ends, got) {
					t.Errorf("OnClose was told %+v, want %+v", got, outcome.Ends)
				}
			}
		})
	}
}

func decode(t *testing.T, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("a script printed %q: %v", line, err)
	}
}
