package engine

import (
	"context"
	"time"
)

// Run serves until ctx is done and then ends the server in order, as a main function
// wants it:
//
//	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
//	defer stop()
//	if err := srv.Run(ctx, 10*time.Second); err != nil {
//		log.Fatal(err)
//	}
//
// It listens on Addr, unless the server listens already: call Listen or ListenWith before
// Run for other addresses. When ctx is done it calls Shutdown, and after grace drops who
// has not answered.
//
// It returns nil when all has ended in order; the error of Listen or Shutdown; and
// ErrServerClosed if something else ended the server. For another close code call
// ShutdownWith instead.
func (s *Server) Run(ctx context.Context, grace time.Duration) error {
	if s.inCallback() {
		return ErrInCallback
	}
	if len(s.Listeners()) == 0 {
		if _, err := s.Listen(s.addr()); err != nil {
			return err
		}
	}
	select {
	case <-s.Done():
		return ErrServerClosed
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return s.Shutdown(ending)
}
