package scenario

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/bench"
	"github.com/fanloop-go/fanloop/bench/load"
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
	goleak.VerifyTestMain(m)
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
