//go:build linux && amd64 && !race

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// F-k: where an int has 32 bits, counters of 64 bits need an alignment that only
// their atomic types see to, and constants may not fit. The kernel runs programs
// of 386 beside those of amd64.
func TestEchoAndDialAs386(t *testing.T) {
	program := filepath.Join(t.TempDir(), "fanloop386")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "GOARCH=386", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build for 386: %v\n%s", err, out)
	}
	run := func(stdin string, args ...string) *process {
		p := &process{cmd: exec.Command(program, args...), exited: make(chan struct{})}
		p.cmd.Stdin = strings.NewReader(stdin)
		p.run(t)
		return p
	}
	for _, flags := range [][]string{{}, {"--self-signed", "--compression", "takeover"}} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			server := run("", append([]string{"echo", "--addr", "127.0.0.1:0"}, flags...)...)
			var page, url string
			if _, err := fmt.Sscanf(server.out.await(t, "\n"), "listening on %s %s\n", &page, &url); err != nil {
				t.Fatal(err)
			}
			line := strings.Repeat("a line that is echoed ", 5000)
			client := run("short\n"+line+"\n", "dial", "--insecure", "--compression", "takeover", url)
			if status := client.wait(t); status.ExitStatus() != 0 {
				t.Errorf("dial ended with %d: %s", status.ExitStatus(), &client.err)
			}
			if got := client.out.String(); got != "short\n"+line+"\n" {
				t.Errorf("%d bytes came back: %.60q", len(got), got)
			}
		})
	}
}
