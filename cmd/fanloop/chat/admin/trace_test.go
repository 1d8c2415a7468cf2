package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/service"
)

// traceOf reads what is traced, line by line.
type traceOf struct {
	t     *testing.T
	lines *bufio.Scanner
	text  strings.Builder // all that came
}

func openTrace(t *testing.T, ctx context.Context, url, of string) *traceOf {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/admin/trace", strings.NewReader(of))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	t.Cleanup(func() { _ = response.Body.Close(); http.DefaultClient.CloseIdleConnections() })
	return &traceOf{t: t, lines: bufio.NewScanner(response.Body)}
}

// until returns the events up to one of a kind and a type.
func (o *traceOf) until(event, kind string) (all []service.Event) {
	o.t.Helper()
	for o.lines.Scan() {
		o.text.WriteString(o.lines.Text() + "\n")
		if o.lines.Text() == "" {
			continue
		}
		var e service.Event
		if err := json.Unmarshal(o.lines.Bytes(), &e); err != nil {
			o.t.Fatal(err)
		}
		if all = append(all, e); e.Event == event && e.Type == kind {
			return all
		}
	}
	o.t.Fatalf("the trace ended: %v\n%s", o.lines.Err(), &o.text)
	return nil
}

// A trace has the events of the one that is traced and of nobody else, and neither a
// token nor the text of a message.
func TestTraceOfOne(t *testing.T) {
	s, ctx := start(t, nil)
	h := handlerOf(s, "")
	server := httptest.NewServer(h)
	defer server.Close()
	defer h.End()
	const text = "a-text-of-a-message"

	ann, bob := enter(t, ctx, s, "ann"), enter(t, ctx, s, "bob", "lobby")
	user := openTrace(t, ctx, server.URL, `{"user":"ann"}`)
	topic := openTrace(t, ctx, server.URL, `{"topic":"lobby"}`)
	ann.send(&protocol.Subscribe{Ref: 5, Topic: "lobby", Attempt: 1, Token: text})
	await[*protocol.Error](ann) // there are no tokens here
	ann.send(&protocol.Subscribe{Ref: 6, Topic: "lobby", Attempt: 2})
	await[*protocol.Subscribed](ann)
	bob.send(&protocol.Subscribe{Ref: 7, Topic: "other", Attempt: 9})
	await[*protocol.Subscribed](bob)
	ann.send(&protocol.Publish{Ref: 8, Topic: "lobby", ID: "x", Data: protocol.Data(`"` + text + `"`)})
	await[*protocol.Published](ann)
	bob.send(&protocol.Publish{Ref: 9, Topic: "lobby", ID: "y", Data: protocol.Data(`"` + text + `"`)})
	await[*protocol.Published](bob)
	ann.send(&protocol.Publish{Ref: 10, Topic: "other", ID: "z", Data: protocol.Data(`1`)})
	await[*protocol.Error](ann) // not subscribed

	ofAnn := user.until("sent", "published")
	var id uint64
	for _, e := range append(ofAnn, user.until("sent", "error")...) {
		if e.User != "ann" {
			t.Errorf("ann is traced, and there is %+v", e)
		}
		id = max(id, e.Connection)
	}
	ofTopic := topic.until("sent", "published")
	for _, e := range append(ofTopic, topic.until("sent", "published")...) {
		if e.Topic != "lobby" {
			t.Errorf("lobby is traced, and there is %+v", e)
		}
	}
	if len(ofTopic) < 6 { // subscribe, error, subscribe, subscribed, publish, published
		t.Errorf("%+v", ofTopic)
	}

	connection := openTrace(t, ctx, server.URL, `{"connection":`+jsonOf(id)+`}`)
	bob.send(&protocol.Ping{Ref: 11})
	await[*protocol.Pong](bob)
	ann.send(&protocol.Ping{Ref: 12})
	await[*protocol.Pong](ann)
	for _, e := range connection.until("sent", "pong") {
		if e.Connection != id || e.User != "ann" {
			t.Errorf("connection %d is traced, and there is %+v", id, e)
		}
	}
	ann.ws.CloseNow()
	closed := user.until("closed", "")
	if last := closed[len(closed)-1]; last.Connection != id || last.Code == "" {
		t.Errorf("%+v", last)
	}
	if all := user.text.String() + topic.text.String() + connection.text.String(); strings.Contains(all, text) {
		t.Errorf("content is in a trace:\n%s", all)
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// What cannot be traced is refused, and so is who is no operator.
func TestTraceIsRefused(t *testing.T) {
	s, _ := start(t, nil)
	for body, want := range map[string]int{
		`{}`: 400, `{"user":"a","topic":"b"}`: 400, `{"user":"a","x":1}`: 400, `[]`: 400, `{"user":"` + strings.Repeat("x", 8<<10) + `"}`: 400, `{"topic":"a\u0000"}`: 400,
	} {
		r := httptest.NewRequest("POST", "http://127.0.0.1:8001/admin/trace", strings.NewReader(body))
		r.RemoteAddr = "127.0.0.1:40000"
		w := httptest.NewRecorder()
		if handlerOf(s, "").ServeHTTP(w, r); w.Code != want {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
	}
	if got := ask(handlerOf(s, operatorKey), "POST", "/admin/trace", nil).Code; got != http.StatusUnauthorized {
		t.Errorf("%d without the key", got)
	}
}

// There are few traces at a time, and a place is free again when one ends.
func TestFewTracesAtATime(t *testing.T) {
	s, ctx := start(t, nil)
	var ends []context.CancelFunc
	var events []<-chan service.Event
	for {
		one, end := context.WithCancel(ctx)
		all, err := s.Trace(one, service.Traced{User: "ann"})
		if err != nil {
			end()
			break
		}
		ends, events = append(ends, end), append(events, all)
	}
	for i, end := range ends {
		end()
		for range events[i] { // until it is closed
		}
	}
	if len(ends) < 2 {
		t.Errorf("%d traces", len(ends))
	}
	one, end := context.WithCancel(ctx)
	all, err := s.Trace(one, service.Traced{User: "ann"})
	if err != nil {
		t.Error(err)
	}
	end()
	for range all {
	}
}
