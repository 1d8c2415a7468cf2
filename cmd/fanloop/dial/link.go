package dial

import (
	"errors"
	"fmt"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
)

// link is what dial talks over: one connection, or with --reconnect one after
// the other. Any goroutine.
type link struct {
	again *engine.ReconnectingClient // nil: the first connection is the only one

	mu   sync.Mutex
	ws   *engine.WebSocket // the latest; nil: none so far
	lost bool              // ws has ended, and that was told
	next chan struct{}     // closed when there is another ws
}

func newLink() *link { return &link{next: make(chan struct{})} }

// connected makes ws the latest connection.
func (l *link) connected(ws *engine.WebSocket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ws, l.lost = ws, false
	close(l.next)
	l.next = make(chan struct{})
}

// disconnected returns the connection that ended, nil if it was told already.
func (l *link) disconnected() *engine.WebSocket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost {
		return nil
	}
	l.lost = true
	return l.ws
}

// send sends a message once there is a connection with room for it; false if
// none comes any more, or it cannot be sent. There is room while at most unsent
// bytes wait; drained tells that there may be.
func (l *link) send(op engine.OpCode, message []byte, unsent int, drained <-chan struct{}) bool {
	for {
		l.mu.Lock()
		ws, next := l.ws, l.next
		l.mu.Unlock()
		if ws != nil && awaitRoom(ws, unsent, drained) {
			if err := ws.Send(op, message); err != engine.ErrClosed {
				return err == nil
			}
		}
		select {
		case <-next:
		case <-l.Done():
			return false
		}
	}
}

// ping sends a ping on the connection there is.
func (l *link) ping(p []byte) error {
	l.mu.Lock()
	ws := l.ws
	l.mu.Unlock()
	switch {
	case ws == nil:
		return errors.New("there is no connection yet")
	case len(p) > maxPing:
		return fmt.Errorf("%d bytes, but a ping holds at most %d", len(p), maxPing)
	}
	return ws.Ping(p)
}

// maxPing is how much a ping holds (RFC 6455 section 5.5).
const maxPing = 125

// awaitRoom waits while more is unsent; false if the connection ended.
func awaitRoom(ws *engine.WebSocket, unsent int, drained <-chan struct{}) bool {
	for ws.Buffered() > unsent {
		select {
		case <-drained:
		case <-ws.Done():
			return false
		}
	}
	return true
}

// Close begins the end. code may be sent.
func (l *link) Close(code engine.StatusCode, reason string) error {
	if l.again != nil {
		return l.again.Close(code, reason)
	}
	return l.ws.Close(code, reason)
}

// Done is closed when there is no connection any more.
func (l *link) Done() <-chan struct{} {
	if l.again != nil {
		return l.again.Done()
	}
	return l.ws.Done()
}

var errNotConnected = errors.New("there was no connection at the end")

// last returns the connection that was the last one, or why none stood at the
// end. Done is closed.
func (l *link) last() (*engine.WebSocket, error) {
	if l.again == nil {
		return l.ws, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ws != nil && !l.lost {
		return l.ws, nil
	}
	err := l.again.Err()
	if err == nil { // this side closed
		err = errNotConnected
	}
	return nil, err
}
