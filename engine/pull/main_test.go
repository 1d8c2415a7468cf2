package pull_test

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain fails the package when a goroutine or a descriptor outlives its test.
func TestMain(m *testing.M) {
	before := openDescriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

// leaks waits until nothing is left, and says so by its code.
func leaks(before int) (code int) {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := leak(before)
		if err == nil {
			return 0
		}
		if time.Now().After(deadline) {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
}

func leak(before int) error {
	if err := goleak.Find(); err != nil {
		return err
	}
	if after := openDescriptors(); after > before {
		return fmt.Errorf("%d descriptors were open before the tests, %d are after them", before, after)
	}
	return nil
}

// openDescriptors counts the descriptors of this process; 0 where /proc does not
// tell.
func openDescriptors() int {
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = ln.Close() // the runtime's own poller is open from here on
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
