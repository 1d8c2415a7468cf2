package service

import (
	"context"
	"log/slog"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
	"github.com/fanloop-go/fanloop/loop"
)

// faults bounds what clients and backends can have logged. Lines have no user content: who
// it was is to be found by a trace.
type faults struct {
	unencoded  loop.Throttle // frames
	unreadable loop.Throttle // stored messages
	ended      loop.Throttle // subscriptions
	internal   loop.Throttle // what failed by a fault of this node
	unrevoked  loop.Throttle // revocations that had no place
	ungranted  loop.Throttle // rights in namespaces that do not exist
}

// unencoded has it logged that some Data of a frame is no JSON: the decoder let none through.
func (s *Service) unencoded(f protocol.Frame, err error) {
	s.faults.unencoded.Log(s.log, slog.LevelError, "a frame cannot be encoded", slog.String("type", protocol.NameOf(f)), slog.Any("err", err))
}

// granted has it logged that a token, or the backend, grants rights in namespaces that do not
// exist. The others count.
func (s *Service) granted(g *rules.Grants) {
	if unknown := s.rules.Load().Unknown(g); len(unknown) > 0 {
		s.faults.ungranted.Log(s.log, slog.LevelWarn, "rights are granted in a namespace that does not exist", slog.String("namespace", unknown[0]), slog.Int("others", len(unknown)-1),
			slog.String("advice", "compare topics and namespaces of tokens, or of answers of the backend, with namespaces of the settings"))
	}
}

// failed has it logged that something failed by a fault of this node.
func (s *Service) failed(what string, err error) {
	s.faults.internal.Log(s.log, slog.LevelError, what+" failed", survive.Attrs(err)...)
}

// watched has a hook logged, that there is no answer and that the circuit changes, and
// traced. What it has published is as large as what clients publish.
func (s *Service) watched(c *hooks.Config) {
	c.Tracer, c.MaxData = s.Tracer(), s.session.Limits.Data
	unanswered := new(loop.Throttle)
	c.OnAnswer = func(kind hooks.Kind, outcome hooks.Outcome, cause error, took time.Duration) {
		switch outcome {
		case hooks.Allowed, hooks.Refused, hooks.Canceled:
		default:
			unanswered.Log(s.log, slog.LevelWarn, "a question to the backend has no answer",
				slog.String("hook", string(kind)), slog.String("outcome", string(outcome)), slog.Duration("took", took), slog.Any("err", cause))
		}
	}
	c.OnState = func(kind hooks.Kind, state hooks.State) {
		level, text := slog.LevelWarn, "the backend is not asked for a while, as it gave no answers"
		switch state {
		case hooks.Closed:
			level, text = slog.LevelInfo, "the backend is asked again"
		case hooks.HalfOpen:
			level, text = slog.LevelInfo, "the backend is asked one question, to see whether it answers"
		}
		s.log.Log(context.Background(), level, text, "hook", string(kind))
	}
	c.OnPanic = func(kind hooks.Kind, err *loop.PanicError) { s.failed("the hook "+string(kind), err) }
}
