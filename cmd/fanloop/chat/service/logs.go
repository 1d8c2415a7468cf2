package service

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/loop"
)

// faults bounds what clients and backends can have logged. Lines have no user content: who
// it was is to be found by a trace.
type faults struct {
	unencoded  loop.Throttle // frames
	unreadable loop.Throttle // stored messages
	ended      loop.Throttle // subscriptions
	internal   loop.Throttle // commands that are answered with that code
}

// unencoded has it logged that some Data of a frame is no JSON: the decoder let none through.
func (s *Service) unencoded(f protocol.Frame, err error) {
	s.faults.unencoded.Log(s.log, slog.LevelError, "a frame cannot be encoded", slog.String("type", protocol.NameOf(f)), slog.Any("err", err))
}

// watched has a hook logged, that there is no answer and that the circuit changes, and
// traced. What it has published has at most so many bytes.
func watched(log *slog.Logger, tracer trace.Tracer, maxData int) func(*hooks.Config) {
	return func(c *hooks.Config) {
		c.Tracer, c.MaxData = tracer, maxData
		unanswered := new(loop.Throttle)
		c.OnAnswer = func(kind hooks.Kind, outcome hooks.Outcome, cause error, took time.Duration) {
			switch outcome {
			case hooks.Allowed, hooks.Refused, hooks.Canceled:
			default:
				unanswered.Log(log, slog.LevelWarn, "a question to the backend has no answer",
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
			log.Log(context.Background(), level, text, "hook", string(kind))
		}
	}
}
