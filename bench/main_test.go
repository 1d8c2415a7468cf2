package bench

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var built struct {
	once sync.Once
	dir  string
	Programs
	err error
}

// programs compiles the C programs once for all tests.
func programs(t *testing.T) Programs {
	t.Helper()
	built.once.Do(func() {
		if built.err = prepare(); built.err != nil {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "fanloop-bench-test-"); built.err == nil {
			built.Programs, built.err = Build(context.Background(), built.dir)
		}
	})
	if errors.Is(built.err, ErrNotAvailable) {
		t.Skip(built.err)
	}
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.Programs
}

func startFloor(t *testing.T) *process {
	t.Helper()
	floor := Server{Name: FloorName, Command: []string{programs(t).Floor, "{port}"}}
	p, err := floor.start(t.Context(), "0", 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(built.dir)
		os.Exit(code)
	}))
}
