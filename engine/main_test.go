package engine_test

import (
	"os"
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/testkit/leaks"
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
	os.Exit(leaks.Main(m))
}
