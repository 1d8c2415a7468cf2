package pull

import (
	"context"
	"slices"
)

// turn lets one writer at a time write, in the order in which they came. Guarded by
// the mutex of its Conn.
type turn struct {
	taken bool
	queue []chan struct{} // one for each writer that waits: closed when it has the turn
}

// takeTurn waits until the caller is the one that writes, until giveTurn.
func (c *Conn) takeTurn(ctx context.Context) error {
	c.mu.Lock()
	if !c.turn.taken {
		c.turn.taken = true
		c.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	c.turn.queue = append(c.turn.queue, mine)
	c.mu.Unlock()
	err := c.wait(ctx, mine)
	if err != nil {
		c.leaveQueue(mine)
	}
	return err
}

// leaveQueue is for a writer that does not wait any more.
func (c *Conn) leaveQueue(mine chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.turn.queue, mine); i >= 0 {
		c.turn.queue = slices.Delete(c.turn.queue, i, i+1)
		return
	}
	c.nextTurnLocked() // it was given to the caller meanwhile
}

func (c *Conn) giveTurn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nextTurnLocked()
}

func (c *Conn) nextTurnLocked() {
	if len(c.turn.queue) == 0 {
		c.turn.taken = false
		return
	}
	close(c.turn.queue[0])
	c.turn.queue = slices.Delete(c.turn.queue, 0, 1)
}
