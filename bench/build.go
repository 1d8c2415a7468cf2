package bench

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// ErrNotAvailable is the cause when this machine lacks what a run needs: a C compiler,
// taskset, or Linux.
var ErrNotAvailable = errors.New("not available here")

//go:embed floor load
var sources embed.FS

// Programs are the paths of the C programs of a run.
type Programs struct {
	Floor string // the echo server all others are divided by
	Load  string // the client
}

// Build compiles the C programs into dir with $CC, or cc. The error wraps
// [ErrNotAvailable] if there is no compiler.
func Build(ctx context.Context, dir string) (Programs, error) {
	cc := compiler()
	if _, err := exec.LookPath(cc); err != nil {
		return Programs{}, fmt.Errorf("%w: no C compiler (%s); install gcc or clang, or set CC", ErrNotAvailable, cc)
	}
	if err := os.CopyFS(dir, sources); err != nil {
		return Programs{}, fmt.Errorf("write the C sources: %w", err)
	}
	var built Programs
	for name, path := range map[string]*string{"floor": &built.Floor, "load": &built.Load} {
		source := filepath.Join(dir, name, name+".c")
		*path = filepath.Join(dir, name, name)
		if out, err := exec.CommandContext(ctx, cc, "-O2", "-o", *path, source).CombinedOutput(); err != nil {
			return Programs{}, fmt.Errorf("compile %s.c: %w\n%s", name, err, out)
		}
	}
	return built, nil
}

func compiler() string {
	if cc := os.Getenv("CC"); cc != "" {
		return cc
	}
	return "cc"
}
