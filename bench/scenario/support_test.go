package scenario

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/report"
)

// This program is server and generator of its own tests.
const (
	asGenerator = "generate"
	asServer    = "serve"
	asFailure   = "fail"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case asGenerator:
			exit(load.Serve(context.Background(), os.Stdin, os.Stdout))
		case asServer:
			exit(serve(os.Args[2], os.Args[3:]))
		case asFailure:
			exit(fmt.Errorf("the licence has run out"))
		}
	}
	code := m.Run()
	if code == 0 {
		err := goleak.Find()
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); {
			err = goleak.Find() // goroutines that were told to end need a CPU for it
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// serve serves the bench protocol at addr, with what is needed besides.
func serve(addr string, needs []string) error {
	o := bench.Options{Loops: 1}
	for _, need := range needs {
		if need == "tls" {
			o.TLS = true
		} else {
			o.Compression = load.Compression(need)
		}
	}
	srv, err := bench.NewServer(o)
	if err != nil {
		return err
	}
	if _, err := srv.Listen(addr); err != nil {
		return err
	}
	<-srv.Done()
	return nil
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// config measures two servers that are alike.
func config(t *testing.T, specs ...Spec) Config {
	t.Helper()
	for i := range specs {
		s := &specs[i]
		orDefault(&s.Rounds, 2)
		orDefault(&s.Window, 150*time.Millisecond)
		orDefault(&s.WarmUp, 20*time.Millisecond)
		orDefault(&s.Slice, 20*time.Millisecond)
		orDefault(&s.Settle, 20*time.Millisecond)
		s.Loops = 1
	}
	command := []string{self(t), asServer, "{addr}"}
	return Config{
		Specs:     specs,
		Servers:   []Server{{Name: "a", Command: command}, {Name: "b", Command: command}},
		Generator: []string{self(t), asGenerator},
	}
}

// run is Run, and enough says whether all is there that has to be. Where others
// want the CPUs, windows as short as these hold few messages, and rates are not
// reached: then it measures again, for longer.
func run(t *testing.T, cfg Config, enough func([]report.Result) error) []report.Result {
	t.Helper()
	for {
		results, err := Run(t.Context(), cfg)
		if err == nil {
			err = enough(results)
		}
		if err == nil {
			return results
		}
		longer := 4 * cfg.Specs[0].Window
		if !errors.Is(err, errFew) && !strings.Contains(err.Error(), "is out of reach") && !strings.Contains(err.Error(), "nothing arrived") || longer > time.Minute {
			t.Fatal(err)
		}
		t.Logf("%v; again, for %v", err, longer)
		for i := range cfg.Specs {
			cfg.Specs[i].Window = longer
		}
	}
}

// errFew says that something is missing that more time may bring.
var errFew = errors.New("missing")

// has says which of keys has no figure for each round of r.
func has(r report.Result, keys ...string) error {
	for _, key := range keys {
		if _, whole := r.Whole[key]; !whole && len(r.Figures(key)) != 2 {
			return fmt.Errorf("%w: %s of %s in %v", errFew, key, r.Server, r.Rounds)
		}
	}
	return nil
}
