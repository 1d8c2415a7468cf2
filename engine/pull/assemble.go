package pull

import (
	"context"
	"errors"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// minProgress is what has to come of a message within Limits.ReadTimeout.
const minProgress = 1 << 10

var errExpired = errors.New("pull: Limits.ReadTimeout is over") // inside of this package

// assemble waits for the rest of the message that whole begins. If ctx is done before
// that, it puts back what there is.
func (c *Conn) assemble(ctx context.Context, whole piece) (piece, error) {
	limits := c.ws.Limits()
	clock := patience{limit: limits.ReadTimeout, seen: len(whole.data)}
	defer clock.stop()
	held := 0 // bytes that Hold has counted
	defer func() {
		if held > 0 {
			c.ws.Hold(-held)
		}
	}()
	for {
		if limits.MaxMessage >= 0 && int64(len(whole.data)) > limits.MaxMessage {
			c.fail(engine.StatusMessageTooBig, errTooBig, "message is over the size limit")
			return piece{}, errTooBig
		}
		if whole.fin {
			return whole, nil
		}
		p, err := c.take(ctx, clock.start())
		switch {
		case err == nil:
			whole.data = append(whole.data, p.data...)
			whole.fin = p.fin
			if more := cap(whole.data) - held; more >= holdStep {
				held += more
				c.ws.Hold(more)
			}
		case err != errExpired:
			c.putBack(whole)
			return piece{}, err
		case !clock.moved(len(whole.data)):
			c.fail(engine.StatusPolicyViolation, engine.ErrReadTimeout, "message not finished in time")
			return piece{}, engine.ErrReadTimeout
		}
	}
}

// patience is the time that a message has to get on.
type patience struct {
	limit time.Duration // negative: none
	seen  int           // bytes that had come when the clock was started
	timer *time.Timer   // nil: it was not
}

// start starts the clock if it does not run, and returns when it is over.
func (p *patience) start() <-chan time.Time {
	if p.limit <= 0 {
		return nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(p.limit)
	}
	return p.timer.C
}

// moved reports whether enough has come since the clock was started, and then starts it
// again.
func (p *patience) moved(n int) bool {
	if n-p.seen < minProgress {
		return false
	}
	p.seen = n
	p.timer.Reset(p.limit)
	return true
}

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
