package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
)

// keysFetched is auth.RemoteConfig.Alarm. It logs of fetches that fail one after the other the
// first, the second, the fourth and so on, that which ends the use of the keys, and the first
// that succeeds again; and that keys are of no use.
func (s *Service) keysFetched() func(auth.Health, error) {
	used, failing := false, false
	return func(h auth.Health, err error) {
		ended := used && h.Keys == 0
		again := failing && err == nil
		used, failing = h.Keys > 0, err != nil
		attrs := []slog.Attr{slog.Int("keys", h.Keys), slog.Int("skipped", h.Skipped)}
		level, text := slog.LevelInfo, "the keys of accounts.jwks are fetched again"
		switch {
		case err != nil && h.Failures&(h.Failures-1) != 0 && !ended:
			return
		case err != nil:
			level, text = slog.LevelWarn, "the keys of accounts.jwks cannot be fetched"
			if h.Keys == 0 {
				level = slog.LevelError
			}
			attrs = append(attrs, slog.Int("failures", h.Failures), slog.Any("err", err))
			if !h.Fetched.IsZero() {
				attrs = append(attrs, slog.Time("fetched", h.Fetched.UTC()))
			}
		case h.Skipped > 0:
			level, text = slog.LevelWarn, "keys of accounts.jwks are of no use: each needs a kid of its own, and is a public key for a signature that is supported"
		case !again:
			text = "all keys of accounts.jwks are of use"
		}
		s.log.LogAttrs(context.Background(), level, text, attrs...)
	}
}

// keys are those of accounts.jwks.
func (a *accounts) keys() (k Keys) {
	if a.remote == nil {
		return k
	}
	h := a.remote.Health()
	since := h.Fetched
	if since.IsZero() {
		since = a.opened
	}
	return Keys{h.Keys, h.Skipped, h.Failures, h.Failed, int(time.Since(since).Seconds())}
}

// keyless reports whether nobody can connect for want of keys: connections are for tokens of
// accounts.jwks alone, and none of its keys are in use.
func (a *accounts) keyless() bool {
	return a.remote != nil && !a.static && a.hooks[hooks.Connect] == nil && a.remote.Health().Keys == 0
}

// stale reports whether there were keys of accounts.jwks, and are none any more.
func (a *accounts) stale() bool {
	if a.remote == nil {
		return false
	}
	h := a.remote.Health()
	return h.Keys == 0 && !h.Fetched.IsZero()
}
