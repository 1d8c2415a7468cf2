// Package leaks finds goroutines and descriptors that outlive the tests of a package. Only
// tests import it.
package leaks

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/engine/internal/testkit"
)

// Main runs the tests of m and returns the exit code: 1 also when a goroutine or a
// descriptor outlives them.
func Main(m *testing.M) (code int) {
	before := OpenDescriptors()
	if code = m.Run(); code != 0 {
		return code
	}
	for deadline := time.Now().Add(testkit.Patience); ; time.Sleep(10 * time.Millisecond) {
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
	if after := OpenDescriptors(); after > before {
		return fmt.Errorf("%d descriptors were open before the tests, %d are after them", before, after)
	}
	return nil
}

// OpenDescriptors counts the descriptors of this process; 0 where there is no /proc.
func OpenDescriptors() int {
	if ln, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = ln.Close() // the runtime's own poller is open from here on
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
