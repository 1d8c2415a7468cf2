package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine"
	"github.com/fanloop-go/fanloop/engine/examples/internal/leak"
	"github.com/fanloop-go/fanloop/engine/pull"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }

// start returns a chat with the rooms lobby and kitchen, which ends with the test, its
// host:port, and a context that bounds what hangs.
func start(t *testing.T, auth authority) (srv *engine.Server, addr string, ctx context.Context) {
	t.Helper()
	srv = newServer(auth, []string{"lobby", "kitchen"})
	ln, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := srv.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		cancel()
	})
	return srv, ln.String(), ctx
}

// login returns the cookies of a session, and its token.
func login(t *testing.T, addr, name string) (jar *cookiejar.Jar, token string) {
	t.Helper()
	jar, _ = cookiejar.New(nil)
	resp, err := (&http.Client{Jar: jar}).PostForm("http://"+addr+"/login", url.Values{"name": {name}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || len(resp.Cookies()) != 1 {
		t.Fatal(resp.Status)
	}
	return jar, resp.Cookies()[0].Value
}

type client struct {
	t   *testing.T
	ctx context.Context
	*pull.Conn
}

func enter(t *testing.T, ctx context.Context, addr, room string, opt *engine.DialOptions) client {
	t.Helper()
	c, err := pull.Dial(ctx, "ws://"+addr+"/rooms/"+room, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseNow(); <-c.WebSocket().Done() })
	return client{t, ctx, c}
}

// enterAs logs in and enters the lobby, where others hear of it.
func enterAs(t *testing.T, ctx context.Context, addr, name string, others ...client) client {
	t.Helper()
	jar, _ := login(t, addr, name)
	c := enter(t, ctx, addr, "lobby", &engine.DialOptions{Jar: jar})
	for _, other := range others {
		other.expect(event{Joined: name})
	}
	return c
}

func (c client) say(text string) {
	c.t.Helper()
	if err := c.Write(c.ctx, engine.Text, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) hear() event {
	c.t.Helper()
	e, err := pull.ReadJSON[event](c.ctx, c.Conn)
	if err != nil {
		c.t.Fatal(err)
	}
	return e
}

func (c client) expect(events ...event) {
	c.t.Helper()
	for _, want := range events {
		if got := c.hear(); !reflect.DeepEqual(got, want) {
			c.t.Fatalf("heard %+v, want %+v", got, want)
		}
	}
}

func (c client) expectClose(code engine.StatusCode) {
	c.t.Helper()
	var err error
	for err == nil {
		_, _, err = c.Read(c.ctx)
	}
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != code {
		c.t.Errorf("%v, want close code %d", err, code)
	}
}

func TestWhoIsHereAndWhatWasSaid(t *testing.T) {
	_, addr, ctx := start(t, new(sessions))
	ann := enterAs(t, ctx, addr, "ann")
	ann.expect(event{Here: []string{"ann"}})
	ann.say(" hello ")
	ann.say("  ")
	ann.say("anybody?")
	ann.expect(event{From: "ann", Text: "hello"}, event{From: "ann", Text: "anybody?"})

	_, token := login(t, addr, "ben")
	ben := enter(t, ctx, addr, "lobby", &engine.DialOptions{Header: http.Header{"Authorization": {"Bearer " + token}}})
	both := event{Here: []string{"ann", "ben"}}
	ann.expect(event{Joined: "ben"}, both)
	ben.expect(event{From: "ann", Text: "hello"}, event{From: "ann", Text: "anybody?"}, both)

	ben.say("me")
	ann.expect(event{From: "ben", Text: "me"})
	if err := ben.Close(ctx, engine.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	ann.expect(event{Left: "ben"}, event{Here: []string{"ann"}})
}

// A user with two pages comes once, and leaves with the last one.
func TestUserIsHereOnce(t *testing.T) {
	_, addr, ctx := start(t, new(sessions))
	ann := enterAs(t, ctx, addr, "ann")
	ann.expect(event{Here: []string{"ann"}})
	jar, _ := login(t, addr, "ben")
	both := event{Here: []string{"ann", "ben"}}
	first := enter(t, ctx, addr, "lobby", &engine.DialOptions{Jar: jar})
	first.expect(both)
	second := enter(t, ctx, addr, "lobby", &engine.DialOptions{Jar: jar})
	second.expect(both)
	first.CloseNow()
	<-first.WebSocket().Done()
	second.say("still here")
	second.CloseNow()
	ann.expect(event{Joined: "ben"}, both, event{From: "ben", Text: "still here"}, event{Left: "ben"}, event{Here: []string{"ann"}})
}

func TestRoomKeepsTheLastLines(t *testing.T) {
	_, addr, ctx := start(t, new(sessions))
	ann := enterAs(t, ctx, addr, "ann")
	ann.expect(event{Here: []string{"ann"}})
	for i := range history + 2 {
		ann.say(fmt.Sprint("line ", i))
		ann.expect(event{From: "ann", Text: fmt.Sprint("line ", i)})
	}
	ben := enterAs(t, ctx, addr, "ben", ann)
	for i := range history {
		ben.expect(event{From: "ann", Text: fmt.Sprint("line ", i+2)})
	}
	ben.expect(event{Here: []string{"ann", "ben"}})
}

func TestRoomsHearThemselvesOnly(t *testing.T) {
	_, addr, ctx := start(t, new(sessions))
	ann := enterAs(t, ctx, addr, "ann")
	jar, _ := login(t, addr, "ben")
	ben := enter(t, ctx, addr, "kitchen", &engine.DialOptions{Jar: jar})
	ben.expect(event{Here: []string{"ben"}})
	ben.say("in the kitchen")
	ben.expect(event{From: "ben", Text: "in the kitchen"})
	ann.say("in the lobby")
	ann.expect(event{Here: []string{"ann"}}, event{From: "ann", Text: "in the lobby"})
}

func TestRefusals(t *testing.T) {
	_, addr, ctx := start(t, new(sessions))
	_, token := login(t, addr, "ann")
	for _, c := range []struct {
		room, token string
		status      int
		challenge   string
	}{
		{"lobby", "", http.StatusUnauthorized, `Bearer realm="chat"`},
		{"lobby", "guessed", http.StatusUnauthorized, `Bearer realm="chat"`},
		{"cellar", token, http.StatusNotFound, ""},
	} {
		var refused *engine.StatusError
		_, err := pull.Dial(ctx, "ws://"+addr+"/rooms/"+c.room, &engine.DialOptions{Header: http.Header{"Authorization": {"Bearer " + c.token}}})
		if !errors.As(err, &refused) || refused.Status != c.status || http.Header(refused.Header).Get("WWW-Authenticate") != c.challenge {
			t.Errorf("%+v: %v", c, err)
		}
	}
	resp, err := http.PostForm("http://"+addr+"/login", url.Values{"name": {"ann"}})
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusConflict {
		t.Error(resp.Status)
	}
}

// slowAuthority finds nobody until the request has ended.
type slowAuthority struct{ asked, ended chan struct{} }

func (a slowAuthority) find(ctx context.Context, _ string) (string, time.Time, error) {
	close(a.asked)
	<-ctx.Done()
	close(a.ended)
	return "", time.Time{}, context.Cause(ctx)
}

func TestNobodyIsLookedUpForAClientThatLeft(t *testing.T) {
	auth := slowAuthority{make(chan struct{}), make(chan struct{})}
	_, addr, ctx := start(t, auth)
	dialing, leave := context.WithCancel(ctx)
	go func() {
		<-auth.asked
		leave()
	}()
	if _, err := pull.Dial(dialing, "ws://"+addr+"/rooms/lobby", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	select {
	case <-auth.ended:
	case <-ctx.Done():
		t.Error("the look-up goes on")
	}
}

// endedAuthority knows one user, whose session ends now.
type endedAuthority struct{}

func (endedAuthority) find(context.Context, string) (string, time.Time, error) {
	return "ann", time.Now(), nil
}

func TestConnectionEndsWithItsSession(t *testing.T) {
	_, addr, ctx := start(t, endedAuthority{})
	enter(t, ctx, addr, "lobby", nil).expectClose(engine.StatusPolicyViolation)
}

func TestSlowReadersAreTold(t *testing.T) {
	srv, addr, ctx := start(t, new(sessions))
	ben := enterAs(t, ctx, addr, "ben")
	ben.expect(event{Here: []string{"ben"}})
	ann := enterAs(t, ctx, addr, "ann", ben)
	ann.WebSocket().PauseReading()
	line := strings.Repeat("x", 1000)
	for srv.Stats().Dropped == 0 {
		ben.say(line)
		for ben.hear().Text != line {
		}
	}
	ann.WebSocket().ResumeReading()
	for e := ann.hear(); e.Missed == 0; e = ann.hear() {
	}
	ben.say("the last")
	for e := ann.hear(); e.Text != "the last"; e = ann.hear() {
	}
}

func TestServerEndsInOrder(t *testing.T) {
	srv, addr, ctx := start(t, new(sessions))
	ann := enterAs(t, ctx, addr, "ann")
	running, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- srv.Run(running, 10*time.Second) }()
	stop()
	ann.expectClose(engine.StatusGoingAway)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPage(t *testing.T) {
	_, addr, _ := start(t, new(sessions))
	for path, want := range map[string]string{"/": "<title>Chat</title>", "/rooms": `["lobby","kitchen"]`} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s is %.60q, %v", path, body, err)
		}
	}
}
