package service_test

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/engine"
)

// An address with too many connections is told so, and when to come back: by closing on a
// WebSocket, by 429 on a stream. A place that is free again is taken.
func TestTooManyConnectionsOfAnAddress(t *testing.T) {
	s, ctx := start(t, func(c *config.Config) { c.Limits.Address.Connections = 1 })
	ann := connect(t, ctx, s, protocol.JSON, "ann")
	second := dial(t, ctx, s, protocol.JSON)
	if got := await[*protocol.Closing](second); got.Code != protocol.RateLimited || got.Retry != protocol.Later || got.Delay < 5000 {
		t.Errorf("%+v", got)
	}
	_, _, err := second.ws.Read(ctx)
	var closed *engine.CloseError
	if !errors.As(err, &closed) || closed.Code != engine.StatusCode(protocol.RateLimited.Close()) {
		t.Error(err)
	}
	hello := &protocol.Connect{Ref: 1, Version: 1, User: "bob"}
	resp := post(t, ctx, "http://"+s.Addr()+"/v1/stream", nil, hello)
	after, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != http.StatusTooManyRequests || after < 5 {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	ann.ws.CloseNow()
	for status := 0; status != http.StatusOK && ctx.Err() == nil; { // until the place is given back
		status = func() int {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			return post(t, ctx, "http://"+s.Addr()+"/v1/stream", nil, hello).StatusCode
		}()
	}
}

// A node that ends while a stream has no event yet answers that nothing was taken.
func TestShutdownBeforeTheFirstEvent(t *testing.T) {
	asking, release := make(chan struct{}), make(chan struct{})
	s, ctx := start(t, withBackend(t, func(asked) string {
		close(asking)
		<-release
		return `{"allow":false}`
	}, "connect"))
	answered := make(chan *http.Response, 1)
	go func() {
		answered <- post(t, ctx, "http://"+s.Addr()+"/v1/stream", nil, &protocol.Connect{Ref: 1, Version: 1, Token: "x"})
	}()
	<-asking
	ended := make(chan error, 1)
	go func() { ended <- s.Shutdown(ctx) }()
	if resp := <-answered; resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
