package engine

import (
	"log/slog"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// complaints log what peers do wrong before they are anybody: a line a second
// at most, since whoever can connect can cause them.
type complaints struct{ loop.Throttle }

// add complains at the level Warn.
func (c *complaints) add(log *slog.Logger, _ time.Duration, msg string, attrs ...slog.Attr) {
	c.Log(log, slog.LevelWarn, msg, attrs...)
}
