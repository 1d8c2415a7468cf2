package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/bench"
)

const asCommand = "FANLOOP_BENCH_AS_COMMAND"

// TestMain lets the tests call this binary as the command.
func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1")
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if strings.Contains(errs.String(), bench.ErrNotAvailable.Error()) {
		t.Skip(errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestServerThatIsDownIsExitCodeOneAndOneLine(t *testing.T) {
	out, errs, code := command(t, "-server-cpu", "0", "-client-cpu", "0", "-fanloop", "false {port}", "-scenarios", "echo1x64", "-rounds", "1", "-seconds", "0.05")
	if want := "bench: echo1x64: fanloop: the server ended (exit status 1)\n"; code != 1 || out != "" || errs != want {
		t.Errorf("code %d, stdout %q, stderr %q; want 1 and %q", code, out, errs, want)
	}
}

func TestFloorAlone(t *testing.T) {
	out, errs, code := command(t, "-server-cpu", "0", "-client-cpu", "0", "-fanloop", "none", "-scenarios", "echo2x64", "-rounds", "1", "-seconds", "0.05")
	if code != 0 || !strings.Contains(out, "| echo2x64 | floor  | 1.00x") {
		t.Errorf("code %d, stderr %q, stdout:\n%s", code, errs, out)
	}
}

func TestBadArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"-scenarios", "echo"}, {"-rounds", "0"}, {"-seconds", "0"}, {"extra"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
