package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// ErrNotAvailable is the cause when this machine cannot build the floor.
var ErrNotAvailable = errors.New("not available here")

//go:embed floor/*.c floor/*.h
var floorSources embed.FS

// BuildFloor compiles the floor, the C server that all others are measured
// against: it serves the bench protocol with as little between the sockets as
// one epoll loop allows, so nearly all it spends is the kernel's. It uses $CC or
// cc, writes into dir, which exists, and returns the path of the program. The
// error wraps ErrNotAvailable if there is no compiler, or no Linux.
func BuildFloor(ctx context.Context, dir string) (string, error) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if runtime.GOOS != "linux" {
		return "", fmt.Errorf("%w: the floor needs Linux (epoll)", ErrNotAvailable)
	}
	if _, err := exec.LookPath(cc); err != nil {
		return "", fmt.Errorf("%w: no C compiler (%s); install gcc or clang, or set CC", ErrNotAvailable, cc)
	}
	if err := os.CopyFS(dir, floorSources); err != nil {
		return "", fmt.Errorf("write the C sources of the floor: %w", err)
	}
	path := filepath.Join(dir, "floor", "floor")
	out, err := exec.CommandContext(ctx, cc, "-O2", "-o", path, filepath.Join(dir, "floor", "floor.c")).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("compile floor.c: %w: %s", err, out)
	}
	return path, nil
}
