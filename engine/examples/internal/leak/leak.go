// Package leak finds goroutines that outlive the tests of an example.
package leak

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// Main runs the tests of m, and then waits until every goroutine that they started has
// ended. It returns the exit code: 1 if one is left, whose stack it prints.
func Main(m *testing.M) (code int) {
	before := runtime.NumGoroutine()
	if code = m.Run(); code != 0 {
		return code
	}
	for deadline := time.Now().Add(30 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			_, _ = os.Stderr.Write(stacks[:runtime.Stack(stacks, true)])
			return 1
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}
