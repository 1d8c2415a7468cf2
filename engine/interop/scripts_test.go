package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// How engine.Server and engine.Dial get on with Node's ws.
func TestInteropDialToNodeWS(t *testing.T) { nodeWS(t).testServer(t, allCases) }
func TestInteropServeNodeWS(t *testing.T)  { nodeWS(t).testClient(t, allCases) }

// How they get on with Python's websockets.
func TestInteropDialToPythonWebsockets(t *testing.T) { pythonWebsockets(t).testServer(t, zlibCases) }
func TestInteropServePythonWebsockets(t *testing.T)  { pythonWebsockets(t).testClient(t, zlibCases) }

// scriptConfig is what the scripts have to know of the contract. agreed says
// whether compression is agreed. id is who serves, nil without TLS.
func scriptConfig(t *testing.T, url string, agreed bool, id *testkit.Identity) map[string]any {
	config := map[string]any{
		"url": url, "largest": largest, "subprotocol": subprotocol, "lengths": lengthBorders,
		"unicode": unicodeText, "payload": pingedPayload, "byeCode": byeCode, "byeReason": byeReason,
		"leaveCode": leaveCode, "leaveReason": leaveReason, "agreed": agreed,
	}
	if id == nil {
		return config
	}
	config["serverName"] = testkit.Host
	for name, content := range map[string][]byte{"certFile": id.CertPEM, "keyFile": id.KeyPEM} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
		config[name] = file
	}
	return config
}

// identity is who serves in this case, nil without TLS.
func (c *deflateCase) identity(t *testing.T) *testkit.Identity {
	if !c.secure {
		return nil
	}
	return testkit.NewIdentity(t, "server")
}

// schemeOf is how addresses of id are written.
func schemeOf(id *testkit.Identity, web string) string {
	if id != nil {
		web += "s"
	}
	return web + "://"
}

// testServer proves engine.Dial against the script's server.
func (s script) testServer(t *testing.T, cases []deflateCase) {
	eachCase(t, cases, func(t *testing.T, c deflateCase, agreed bool) {
		id := c.identity(t)
		lines := s.start(t, "serve", scriptConfig(t, "", agreed, id))
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
		testDial(t, &foreignServer{ready.Address, ends, c.compression, agreed, id})
	})
}

// testClient proves engine.Server against the script's client.
func (s script) testClient(t *testing.T, cases []deflateCase) {
	eachCase(t, cases, func(t *testing.T, c deflateCase, agreed bool) {
		id := c.identity(t)
		addr, ends := interopServer(t, c.compression, agreed, id)
		reports := &closeReports{arriving: ends}
		lines := s.start(t, "dial", scriptConfig(t, schemeOf(id, "ws")+addr, agreed, id))
		for _, name := range []string{
			"echo", "fragments in", "fragments out", "ping", "pong", "large", "subprotocol",
			"server closes", "server drops", "client drops", "many",
		} {
			var o outcome
			decode(t, within(t, "the outcome of "+name, lines), &o)
			t.Run(name, func(t *testing.T) { o.check(t, name, reports) })
		}
		reports.wantNoMore(t)
	})
}

// outcome is what a foreign client tells of one case: what went wrong, or how
// the server has to see its connections end.
type outcome struct {
	Name  string        `json:"name"`
	Error string        `json:"error"`
	Ends  []closeReport `json:"ends"`
}

func (o *outcome) check(t *testing.T, name string, reports *closeReports) {
	t.Helper()
	if o.Name != name || o.Error != "" || len(o.Ends) == 0 {
		t.Fatalf("want %q without an error, got %+v", name, *o)
	}
	for _, end := range o.Ends {
		reports.want(t, end)
	}
}

// closeReports are what the server was told. A script runs ahead of its test
// and connections end in any order, so reports may come before they are wanted.
type closeReports struct {
	arriving <-chan closeReport
	early    []closeReport
}

// want waits until the report has come, and takes it.
func (r *closeReports) want(t *testing.T, end closeReport) {
	t.Helper()
	for deadline := time.After(patience); ; {
		if i := slices.Index(r.early, end); i >= 0 {
			r.early = slices.Delete(r.early, i, i+1)
			return
		}
		select {
		case got := <-r.arriving:
			r.early = append(r.early, got)
		case <-deadline:
			t.Fatalf("OnClose was told %+v, want %+v", r.early, end)
		}
	}
}

func (r *closeReports) wantNoMore(t *testing.T) {
	t.Helper()
	if len(r.early) > 0 || len(r.arriving) > 0 {
		t.Errorf("OnClose was told too much: %+v and %d more", r.early, len(r.arriving))
	}
}

func decode(t *testing.T, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("a script printed %q: %v", line, err)
	}
}
