package main

import "sync"

// maxUnread is how many bytes may wait for a client that does not read. Beyond
// it the client is dropped.
const maxUnread = 16 << 20

// A queue keeps a publisher from waiting for a connection whose write may block.
// What is pushed is written by a goroutine that lives only while something
// waits, so an idle connection does not pay for it.
type queue[M any] struct {
	write func([]M) error // writes a batch in order; one call at a time
	drop  func()          // ends the connection; may be called again

	mu      sync.Mutex
	waiting []M
	size    int  // bytes of waiting
	writing bool // drain runs, or failed
}

// push leaves m, which is size bytes, for the connection. It never blocks.
func (q *queue[M]) push(m M, size int) {
	q.mu.Lock()
	q.waiting = append(q.waiting, m)
	q.size += size
	unread, idle := q.size, !q.writing
	q.writing = true
	q.mu.Unlock()
	switch {
	case unread > maxUnread:
		q.drop()
	case idle:
		go q.drain()
	}
}

func (q *queue[M]) drain() {
	var batch []M
	for {
		q.mu.Lock()
		batch, q.waiting = q.waiting, batch[:0]
		q.size = 0
		q.writing = len(batch) > 0
		q.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if q.write(batch) != nil {
			q.drop()
			return
		}
		clear(batch)
	}
}
