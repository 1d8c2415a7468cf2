package engine

import (
	"context"

	"github.com/fanloop-go/fanloop/codec"
	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/loop"
)

// started starts the loops at the first call. Methods that only read do not call it: reading
// changes nothing in the process.
func (s *Server) started() error {
	if s.inConfigureHTTP() {
		return ErrInCallback
	}
	s.start.Do(func() {
		if s.startErr = s.begin(); s.startErr != nil {
			s.ended()
			return
		}
		s.up.Store(true)
	})
	return s.startErr
}

// begin makes what the fields of s ask for.
func (s *Server) begin() (err error) {
	if err := s.checkOptions(); err != nil {
		return err
	}
	s.drained = make(chan struct{})
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	e := newSettings(codec.Server, s.Limits, s.Callbacks, s.Logger)
	s.settings, e.server = e, s
	e.panics = new(loop.Throttle) // until there are loops
	e.compressor = newCompressor(s.Compression, e, &s.deflated)
	e.onEnd = s.forget
	e.dispatcher = newDispatcher(s.Dispatch, e.log)
	s.service = &service{Endpoint: s.own(), server: s, settings: e}
	s.upgrades = newUpgradePool(s.UpgradeWorkers)
	if s.web, err = newWebSide(s); err != nil {
		return err
	}
	s.group, err = loop.Start(loop.Config{
		Loops:           s.Loops,
		KeepGOMAXPROCS:  s.KeepGOMAXPROCS,
		IterationBudget: s.budget,
		Budget:          memoryBudget(e.limits.MaxMemory),
		OnOverBudget:    s.relieve,
		MaxHandshakes:   s.MaxHandshakes,
		Logger:          e.log,
		Clock:           s.clock,
	})
	if err != nil {
		return err
	}
	e.panics = s.group.Panics()
	e.setSlow(s.Slow)
	e.hub = fanout.New(s.group.Loops(), fanout.Config{
		Slow:        e.slow,
		Compressor:  s.publishing().packer(),
		MaxRetained: s.retainedLimit(),
		Connections: connections{},
		Pace:        s.pace,
		Watcher:     s.Relay,
		Batching:    s.Batching.forFan(),
	})
	s.routes.prepare(s)
	s.early.apply(e)
	go func() {
		<-s.group.Done()
		e.dispatcher.wait() // for callbacks that the loops gave to it
		s.upgradeCalls.wait()
		e.hub.End()
		s.ended()
	}()
	return nil
}
