package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// request is one call of a Generator's method, a line of JSON.
type request struct {
	Do        string        `json:"do"`
	Config    *Config       `json:"config,omitempty"`
	WarmUp    time.Duration `json:"warm_up,omitempty"`
	Window    time.Duration `json:"window,omitempty"`
	Published []uint32      `json:"published,omitempty"`
	N         int           `json:"n,omitempty"`
}

// answer is what the method returned; answers with a Tick come before it.
type answer struct {
	Error    string    `json:"error,omitempty"`
	Usage    bool      `json:"usage,omitempty"` // the error is a *ConfigError
	Tick     *Tick     `json:"tick,omitempty"`
	Opened   *Opened   `json:"opened,omitempty"`
	Measured *Measured `json:"measured,omitempty"`
	Faults   *Faults   `json:"faults,omitempty"`
	Dropped  int       `json:"dropped,omitempty"`

	Published []uint32 `json:"published,omitempty"`
	Seen      *Window  `json:"seen,omitempty"`
}

// Serve runs one Generator as in says, for a [Remote] that reads out. It returns
// when in ends, when ctx is done, or when nobody reads out.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	var g *Generator
	defer func() {
		if g != nil {
			g.Close()
		}
	}()
	for {
		var r request
		if err := requests.Decode(&r); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("read what to do: %w", err)
		}
		var a answer
		var err error
		if r.Do == "start" {
			g, err = Start(ctx, *r.Config)
		} else {
			a, err = g.serve(ctx, r, func(t Tick) { _ = answers.Encode(answer{Tick: &t}) }) // the last answer will tell
		}
		if err != nil {
			var usage *ConfigError
			a.Error, a.Usage = err.Error(), errors.As(err, &usage)
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func (g *Generator) serve(ctx context.Context, r request, progress func(Tick)) (a answer, err error) {
	switch r.Do {
	case "open":
		a.Opened = new(Opened)
		*a.Opened, err = g.Open(ctx)
	case "measure":
		a.Measured = new(Measured)
		*a.Measured, err = g.Measure(ctx, r.WarmUp, r.Window, progress)
	case "work":
		a.Published, err = g.Work(ctx, r.Window)
	case "seen":
		a.Seen = new(Window)
		*a.Seen, err = g.Seen()
	case "settle":
		a.Faults = new(Faults)
		*a.Faults, err = g.Settle(ctx, r.Published)
	case "silence":
		g.Silence(r.N)
	case "dropped":
		a.Dropped = g.Dropped()
	case "storm":
		a.Opened = new(Opened)
		*a.Opened, err = g.Storm(ctx)
	default:
		err = fmt.Errorf("unknown request %q", r.Do)
	}
	return a, err
}

// Remote is a Generator in another process, which runs [Serve] over a pair of
// pipes. Its methods are those of Generator, and are called one after the other.
type Remote struct {
	out     *json.Encoder
	in      *json.Decoder
	explain func(error) error
}

// NewRemote speaks to a process that runs Serve. explain turns the error of a
// broken pipe into the reason why the process ended.
func NewRemote(in io.Reader, out io.Writer, explain func(error) error) *Remote {
	return &Remote{out: json.NewEncoder(out), in: json.NewDecoder(in), explain: explain}
}

func (r *Remote) call(req request, progress func(Tick)) (answer, error) {
	if err := r.out.Encode(req); err != nil {
		return answer{}, r.explain(err)
	}
	for {
		var a answer
		if err := r.in.Decode(&a); err != nil {
			return answer{}, r.explain(err)
		}
		if a.Tick != nil {
			if progress != nil {
				progress(*a.Tick)
			}
			continue
		}
		switch {
		case a.Usage:
			return a, &ConfigError{a.Error}
		case a.Error != "":
			return a, errors.New(a.Error)
		}
		return a, nil
	}
}

// Start is [Start].
func (r *Remote) Start(cfg Config) error {
	_, err := r.call(request{Do: "start", Config: &cfg}, nil)
	return err
}

// Open is [Generator.Open].
func (r *Remote) Open() (Opened, error) { return opened(r.call(request{Do: "open"}, nil)) }

// Storm is [Generator.Storm].
func (r *Remote) Storm() (Opened, error) { return opened(r.call(request{Do: "storm"}, nil)) }

func opened(a answer, err error) (Opened, error) {
	if err != nil || a.Opened == nil {
		return Opened{}, err
	}
	return *a.Opened, nil
}

// Measure is [Generator.Measure].
func (r *Remote) Measure(warmUp, window time.Duration, progress func(Tick)) (Measured, error) {
	a, err := r.call(request{Do: "measure", WarmUp: warmUp, Window: window}, progress)
	if err != nil || a.Measured == nil {
		return Measured{}, err
	}
	return *a.Measured, nil
}

// Work is [Generator.Work].
func (r *Remote) Work(d time.Duration) ([]uint32, error) {
	a, err := r.call(request{Do: "work", Window: d}, nil)
	return a.Published, err
}

// Seen is [Generator.Seen].
func (r *Remote) Seen() (Window, error) {
	a, err := r.call(request{Do: "seen"}, nil)
	if err != nil || a.Seen == nil {
		return Window{}, err
	}
	return *a.Seen, nil
}

// Settle is [Generator.Settle].
func (r *Remote) Settle(published []uint32) (Faults, error) {
	a, err := r.call(request{Do: "settle", Published: published}, nil)
	if err != nil || a.Faults == nil {
		return Faults{}, err
	}
	return *a.Faults, nil
}

// Silence is [Generator.Silence].
func (r *Remote) Silence(n int) error {
	_, err := r.call(request{Do: "silence", N: n}, nil)
	return err
}

// Dropped is [Generator.Dropped].
func (r *Remote) Dropped() (int, error) {
	a, err := r.call(request{Do: "dropped"}, nil)
	return a.Dropped, err
}
