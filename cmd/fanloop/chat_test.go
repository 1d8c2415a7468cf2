package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// fanloop chat says where it is, serves until it is asked to end, and ends in order.
func TestChatServesUntilItIsAskedToEnd(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"chat", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--data-dir", t.TempDir(), "--log-level", "error"}, cli.Stdio{Out: out, Err: os.Stderr})
	}()
	said := bufio.NewReader(lines)
	ready, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if second, err := said.ReadString('\n'); err != nil || !strings.Contains(second, "without accounts") {
		t.Errorf("%q, %v", second, err)
	}
	third, err := said.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if status := statusOf(t, strings.Fields(third)[1]+"healthz"); status != http.StatusOK {
		t.Errorf("%s is answered with %d", third, status)
	}
	var answer strings.Builder
	hello := `{"type":"connect","ref":1,"version":1,"user":"ann"}` + "\n"
	code := run(ctx, []string{"dial", strings.Fields(ready)[3], "--count", "1"}, cli.Stdio{In: strings.NewReader(hello), Out: &answer, Err: os.Stderr})
	if code != exitOK || !strings.Contains(answer.String(), `"type":"connected"`) {
		t.Errorf("%d, %q", code, &answer)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Error(code)
	}
}

func statusOf(t *testing.T, url string) int {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	return r.StatusCode
}
