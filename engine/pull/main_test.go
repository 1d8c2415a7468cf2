package pull_test

import (
	"os"
	"testing"

	"github.com/fanloop-go/fanloop/engine/internal/testkit/leaks"
)

// TestMain fails the package when a goroutine or a descriptor outlives its test.
func TestMain(m *testing.M) { os.Exit(leaks.Main(m)) }
