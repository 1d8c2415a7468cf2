//go:build !linux

package bench

import (
	"context"
	"fmt"
	"time"
)

var errNeedsLinux = fmt.Errorf("%w: the floor, the client and the CPU clocks need Linux", ErrNotAvailable)

func prepare() error { return errNeedsLinux }

func giveBack(context.Context, int, time.Duration) (uint64, error) { return 0, errNeedsLinux }
