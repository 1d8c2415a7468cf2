package cli

import (
	"io"
	"log/slog"
)

// LogOptions are the flags that say what is written besides the results.
type LogOptions struct {
	Level slog.Level
	Quiet bool
}

// Logger writes to w.
func (o *LogOptions) Logger(w io.Writer) *slog.Logger {
	level := o.Level
	if o.Quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
