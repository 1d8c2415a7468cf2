package natsserver

import (
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// A stream that could not write to its disk takes no message any more until JetStream
// begins anew, and JetStream itself may have ended for it. So it is begun anew as soon as
// there is room.

const (
	// repairEvery is the time between two looks for room. It doubles each time that
	// JetStream begins anew within calm of the time before, up to repairSeldom: then it is
	// not for room that streams cannot write.
	repairEvery  = time.Second
	repairSeldom = time.Minute
	calm         = 10 * time.Minute
	// room is what has to be free: about one block of a stream.
	room = 8 << 20
)

// repair begins JetStream anew after its disk was full, until Close. It looks after each
// error that the server logs.
func (s *Server) repair() {
	pause, last := repairEvery, time.Time{}
	for comes(s.log.failed, s.over) {
		for comes(time.After(pause), s.over) && s.broken() {
			if !s.hasRoom() {
				continue
			}
			pause = nextPause(pause, time.Since(last))
			last = time.Now()
			s.restart()
		}
	}
}

// nextPause is the pause after JetStream begins anew, since which it did so before.
func nextPause(pause, since time.Duration) time.Duration {
	if since > calm {
		return repairEvery
	}
	return min(2*pause, repairSeldom)
}

// comes waits for something, and returns false if over is closed before.
func comes[T any](what <-chan T, over <-chan struct{}) bool {
	select {
	case <-what:
		return true
	case <-over:
		return false
	}
}

// broken reports whether JetStream has ended, or a stream takes no message.
func (s *Server) broken() bool {
	if !s.server.JetStreamEnabled() {
		return true
	}
	for _, e := range s.server.Healthz(&server.HealthzOptions{Details: true}).Errors {
		if e.Type == server.HealthzErrorStream && strings.Contains(e.Error, "write error") {
			return true
		}
	}
	return false
}

// hasRoom reports whether as much as room can be written.
func (s *Server) hasRoom() bool {
	f, err := os.CreateTemp(s.options.Dir, "room-")
	if err != nil {
		return false
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 1<<20)
	for range room / len(block) {
		if _, err := f.Write(block); err != nil {
			return false
		}
	}
	return f.Sync() == nil
}

// restart begins JetStream anew with what is on the disk. Clients stay connected.
func (s *Server) restart() {
	s.log.Warnf("JetStream could not write; there is room now, and it begins anew")
	if err := s.server.ShutdownJetStream(); err != nil {
		s.log.Errorf("JetStream does not end: %v", err)
		return
	}
	config := server.JetStreamConfig{StoreDir: s.options.Dir, MaxStore: s.options.MaxStore}
	if err := s.server.EnableJetStream(&config); err != nil {
		s.log.Errorf("JetStream does not begin: %v", err) // tried again
	}
}
