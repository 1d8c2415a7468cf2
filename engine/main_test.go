package engine_test

import (
	"fmt"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when a goroutine or a descriptor outlives its
// test. With childVariable set the process is a server instead, with
// readerVariable a client.
func TestMain(m *testing.M) {
	if config := os.Getenv(childVariable); config != "" {
		os.Exit(childMain(config))
	}
	if addr := os.Getenv(readerVariable); addr != "" {
		os.Exit(readerMain(addr))
	}
	before := openDescriptors()
	code := m.Run()
	if code == 0 {
		code = leaks(before)
	}
	os.Exit(code)
}

func leaks(before int) int {
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// Loops close their descriptors before their goroutine ends.
	if after := openDescriptors(); after > before {
		fmt.Fprintf(os.Stderr, "%d descriptors were open before the tests, %d are after them\n", before, after)
		return 1
	}
	return 0
}

// openDescriptors counts the descriptors of this process; 0 where /proc does
// not tell.
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
