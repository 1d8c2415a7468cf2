package natsserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
)

// ErrInUse means that another server has its streams in Options.Dir: it runs in this
// process or in another one. Give each server a directory of its own, or end that one.
var ErrInUse = errors.New("the directory is in use by another NATS server")

// lock keeps dir for one server, until the file is closed or the process ends. Two
// servers in one directory destroy the streams of one another.
func lock(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("natsserver: Options.Dir: %w", err)
	}
	file := flock.New(filepath.Join(dir, "lock"))
	locked, err := file.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("natsserver: Options.Dir: %w", err)
	case !locked:
		return nil, fmt.Errorf("natsserver: Options.Dir %s: %w", dir, ErrInUse)
	}
	return file, nil
}
