package natsbroker

import (
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// startProbe tests the connection from now on, by messages of its own that have to
// come back.
func (b *Broker) startProbe() error {
	subject := b.config.Prefix + ".probe." + nuid.Next()
	b.heard.Store(time.Now().UnixNano())
	_, err := b.nc.Subscribe(subject, func(*nats.Msg) { b.heard.Store(time.Now().UnixNano()) })
	if err != nil {
		return err
	}
	b.work.Go(func() { b.probe(subject) })
	return nil
}

// Connected reports whether the connection delivers, as far as this is known: it is
// there, and what was sent over it to itself came back. Any goroutine.
func (b *Broker) Connected() bool { return b.connected.Load() && !b.over() && !b.silent() }

// silent reports whether probes did not come back.
func (b *Broker) silent() bool {
	return time.Since(time.Unix(0, b.heard.Load())) > 2*b.config.ProbeEvery
}

func (b *Broker) probe(subject string) {
	tick := time.NewTicker(b.config.ProbeEvery)
	defer tick.Stop()
	told := false
	for {
		select {
		case <-tick.C:
		case <-b.ended:
			return
		}
		silent := b.silent()
		if silent && !told { // once: the reconnect is a gap too
			b.gap(ErrSilent)
			if b.connected.Load() {
				_ = b.nc.ForceReconnect() // closed: the end
			}
		}
		told = silent
		_ = b.out.add(subject) // what is not sent does not come back
	}
}
