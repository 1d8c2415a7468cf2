// Command run measures fanloop's echo server, and others, against the floor.
//
//	go run ./bench/run -rounds 5 -seconds 2 -out /tmp/echo
//	go run ./bench/run -peer "gorilla=./gorilla-echo {port}" -scenarios echo200x64,handshake
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fanloop-go/fanloop/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	bench.Config
	fanloop string
	out     string
}

func parse(args []string) (options, error) {
	o := options{Config: bench.Config{Progress: os.Stderr}}
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	flags.IntVar(&o.Rounds, "rounds", 5, "`rounds` of every server in every scenario")
	flags.StringVar(&o.ServerCPU, "server-cpu", "0", "`CPU` of the servers")
	flags.StringVar(&o.ClientCPU, "client-cpu", "1", "`CPU` of the load client")
	flags.StringVar(&o.fanloop, "fanloop", "", "`command` of the fanloop server, with {port}, or none (default: built from ./cmd/fanloop)")
	flags.StringVar(&o.out, "out", "", "write `file`.json and file.md too")
	seconds := flags.Float64("seconds", 2, "measured `seconds` of a round")
	scenarios := flags.String("scenarios", bench.DefaultScenarios, "`list` of scenarios")
	flags.Func("peer", "another server as `name=command`, with {port}; may be repeated", func(text string) error {
		s, err := bench.ParseServer(text)
		o.Servers = append(o.Servers, s)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.Rounds < 1 || *seconds < 0.01 {
		return o, fmt.Errorf("-rounds must be 1 or more and -seconds 0.01 or more")
	}
	o.Window = time.Duration(*seconds * float64(time.Second))
	var err error
	o.Scenarios, err = bench.ParseScenarios(*scenarios)
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "fanloop-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := bench.Build(ctx, dir)
	if err != nil {
		return err
	}
	if o.fanloop != "none" {
		ours, err := fanloop(ctx, dir, o.fanloop)
		if err != nil {
			return err
		}
		o.Servers = append([]bench.Server{ours}, o.Servers...)
	}
	report := bench.Report{Machine: bench.ThisMachine(ctx), Time: time.Now(), Flags: args}
	if report.Results, err = bench.Run(ctx, programs, o.Config); err != nil {
		return err
	}
	if o.out != "" {
		if err := report.WriteFiles(o.out); err != nil {
			return err
		}
	}
	return report.WriteMarkdown(os.Stdout)
}

// fanloop is the server under test: the given command, or one built from this module.
func fanloop(ctx context.Context, dir, command string) (bench.Server, error) {
	if command == "" {
		path := filepath.Join(dir, "fanloop")
		build := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/fanloop-go/fanloop/cmd/fanloop")
		if out, err := build.CombinedOutput(); err != nil {
			return bench.Server{}, fmt.Errorf("build cmd/fanloop: %w\n%s", err, out)
		}
		command = path + " echo --addr 127.0.0.1:{port} --loops 1"
	}
	s, err := bench.ParseServer("fanloop=" + command)
	s.GivesBack = true
	return s, err
}
