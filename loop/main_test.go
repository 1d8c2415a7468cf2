package loop

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// childTask names what a re-executed test binary does instead of testing.
const childTask = "FANLOOP_CHILD"

// TestMain proves that the tests leave no goroutine and no descriptor behind.
func TestMain(m *testing.M) {
	if os.Getenv(childTask) != "" {
		serveWithFewDescriptors()
		os.Exit(0)
	}
	warmUp()
	before := descriptors()
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
		if after, ok := descriptorsFallTo(len(before)); !ok {
			fmt.Fprintf(os.Stderr, "descriptors before the tests: %v\nand after: %v\n", before, after)
			code = 1
		}
	}
	os.Exit(code)
}

// warmUp makes the runtime open the descriptors it keeps: its own poller.
func warmUp() {
	r, w, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	_ = r.Close()
	_ = w.Close()
}

// descriptors lists what is open, by number.
func descriptors() map[string]string {
	open := make(map[string]string)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return open // not Linux: nothing to compare
	}
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil { // the directory itself is gone by now
			open[e.Name()] = target
		}
	}
	return open
}

// descriptorsFallTo waits until at most n are open.
func descriptorsFallTo(n int) (open map[string]string, ok bool) {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if open = descriptors(); len(open) <= n {
			return open, true
		}
		if time.Now().After(deadline) {
			return open, false
		}
	}
}
