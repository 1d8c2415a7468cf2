package main

import (
	"bytes"
	"net"
	"os/exec"
	"strings"
	"testing"
)

// outcome runs the program until it ends.
func outcome(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(), args...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), problems.String()
}

func TestWrongUsageIsOneLineAndExitCode2(t *testing.T) {
	for name, args := range map[string][]string{
		"nothing":             {},
		"an unknown peer":     {"nobody", "127.0.0.1:0"},
		"no address":          {"gorilla"},
		"an address, no port": {"gorilla", "127.0.0.1"},
		"no loops":            {"gorilla", "127.0.0.1:0", "0"},
		"loops, no number":    {"gorilla", "127.0.0.1:0", "two"},
		"too much":            {"gorilla", "127.0.0.1:0", "1", "2"},
		"loops behind":        {"gorilla", "127.0.0.1:0", "+tls", "1"},
		"what it cannot do":   {"gorilla", "127.0.0.1:0", "+takeover"},
		"what nobody can do":  {"gorilla", "127.0.0.1:0", "+frobnicate"},
		"an unknown flag":     {"-frobnicate"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := outcome(t, args...)
			if code != 2 || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Fatalf("exit code %d, stdout %q, stderr %q; want 2 and one line on stderr", code, stdout, stderr)
			}
		})
	}
}

func TestAPortInUseIsOneLineAndExitCode1(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name := range peers {
		t.Run(name, func(t *testing.T) {
			peerCommand(t, name) // skips what is not available here
			code, stdout, stderr := outcome(t, name, ln.Addr().String())
			if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 {
				t.Fatalf("exit code %d, stdout %q, stderr %q; want 1 and one line on stderr", code, stdout, stderr)
			}
		})
	}
}

func TestListNamesEveryPeerWithItsVersion(t *testing.T) {
	code, stdout, stderr := outcome(t, "-list")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if len(lines) != len(peers) {
		t.Fatalf("%d lines for %d peers:\n%s", len(lines), len(peers), stdout)
	}
	for _, line := range lines {
		fields := strings.Fields(line)
		if _, known := peers[fields[0]]; !known || len(fields) < 2 || !strings.ContainsAny(fields[1], "0123456789") {
			t.Errorf("line %q, want a name and a version", line)
		}
	}
}

// Without npm and its packages, the npm peers say what to install.
func TestAMissingToolIsNamed(t *testing.T) {
	for _, name := range []string{"ws", "bun"} {
		cmd := exec.CommandContext(t.Context(), program(), name, "127.0.0.1:0")
		cmd.Env = []string{"PATH=" + t.TempDir(), "HOME=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("%s: %v, want exit code 1", name, err)
		}
		if got := string(out); !strings.Contains(got, "not available here: install Node.js") || strings.Count(got, "\n") != 1 {
			t.Errorf("%s says %q", name, got)
		}
	}
}
