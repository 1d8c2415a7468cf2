package live_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when a goroutine outlives its test. With nodeVariable
// set the process is a node instead.
func TestMain(m *testing.M) {
	if plan := os.Getenv(nodeVariable); plan != "" {
		os.Exit(nodeMain(plan))
	}
	goleak.VerifyTestMain(m)
}
