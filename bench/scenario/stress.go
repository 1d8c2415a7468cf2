package scenario

import (
	"context"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// slow is a round of Slow: what readers that stop do to the others. Publishing
// goes on at its rate; first everybody reads, then some do not.
func (o *round) slow(ctx context.Context) error {
	s := o.spec
	stopped := int(s.Stopped * float64(s.Conns) / float64(s.Processes)) // per process
	return o.withClients(ctx, s, func(cs *clients) error {
		if _, err := cs.open(); err != nil {
			return err
		}
		calm, faults, err := cs.measure(s.WarmUp, s.Window, o.progress)
		if err == nil {
			err = faults.Err()
		}
		if err != nil {
			return err
		}
		o.figures["calm_p99_ns"] = float64(calm.Latency.At(0.99))
		before, memoryErr := residentBytes(o.process.pid)
		if err := cs.together(func(_ int, c *client) error { return c.Silence(stopped) }); err != nil {
			return err
		}
		w, _, err := cs.measure(0, s.Window, o.progress) // what is missing is in reach
		if err != nil {
			return err
		}
		o.window(w)
		readers := float64(s.Conns - stopped*s.Processes)
		asked := s.Rate * w.Seconds * readers
		o.figures["reach"] = min(1, float64(w.Messages)/asked)
		if after, err := residentBytes(o.process.pid); err == nil && memoryErr == nil {
			o.figures["rss_grown"] = float64(after) - float64(before)
		}
		return o.countDropped(cs, stopped)
	})
}

func (o *round) countDropped(cs *clients, stopped int) error {
	each := make([]int, len(cs.each))
	err := cs.together(func(i int, c *client) (err error) {
		each[i], err = c.Dropped()
		return err
	})
	var dropped int
	for _, n := range each {
		dropped += n
	}
	if all := stopped * len(cs.each); all > 0 {
		o.figures["dropped"] = float64(dropped) / float64(all)
	}
	return err
}

// storm is a round of Storm: everybody is dropped at once and comes back at once.
func (o *round) storm(ctx context.Context) error {
	return o.withClients(ctx, o.spec, func(cs *clients) error {
		if _, err := cs.open(); err != nil {
			return err
		}
		// The storm itself is the measurement: the CPU clock is read around it.
		before, cpuErr := load.ProcessCPU(o.process.pid)
		opened, err := cs.storm()
		if err != nil {
			return err
		}
		after, _ := load.ProcessCPU(o.process.pid)
		n := float64(opened.Conns)
		o.figures["back_s"] = opened.Seconds
		o.figures["rate"] = n / opened.Seconds
		o.figures["retries"] = float64(opened.Retries)
		if cpuErr == nil && o.process.pid != 0 {
			o.figures[report.CPU] = float64((after - before).Microseconds()) / n
		}
		o.percentiles(opened.Latency)
		return o.greet(cs) // they work
	})
}

// soakSamples is how often the memory is read in a Soak.
const soakSamples = 60

// soak is a round of Soak: an open loop for Window, and the slope of the memory
// over it, without the first fifth.
func (o *round) soak(ctx context.Context) error {
	return o.withClients(ctx, o.spec, func(cs *clients) error {
		if _, err := cs.open(); err != nil {
			return err
		}
		ended := make(chan struct{})
		samples := make(chan []sample, 1)
		go func() { samples <- o.sampleMemory(ctx, ended) }()
		w, faults, err := cs.measure(o.spec.WarmUp, o.spec.Window, o.progress)
		close(ended)
		seen := <-samples
		if err != nil {
			return err
		}
		o.window(w)
		if len(seen) >= 3 {
			o.figures["rss"] = seen[len(seen)-1].bytes
			o.figures["slope"] = slope(seen[len(seen)/5:]) * 3600
		}
		return faults.Err()
	})
}

// sample is the resident memory of the server at a moment.
type sample struct{ seconds, bytes float64 }

// sampleMemory reads the memory of the server until ended is closed.
func (o *round) sampleMemory(ctx context.Context, ended <-chan struct{}) (all []sample) {
	began := time.Now()
	every := time.NewTicker(max(o.spec.Window/soakSamples, 10*time.Millisecond))
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return all
		case <-ended:
			return all
		case <-every.C:
			if rss, err := residentBytes(o.process.pid); err == nil {
				all = append(all, sample{time.Since(began).Seconds(), float64(rss)})
			}
		}
	}
}

// slope is the least-squares slope of at least two samples, in bytes a second.
func slope(all []sample) float64 {
	var n, x, y, xx, xy float64
	for _, s := range all {
		n++
		x += s.seconds
		y += s.bytes
		xx += s.seconds * s.seconds
		xy += s.seconds * s.bytes
	}
	d := n*xx - x*x
	if d == 0 {
		return 0
	}
	return (n*xy - x*y) / d
}
