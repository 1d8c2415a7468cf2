package load

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Resolution is how finely a generator of this process can measure time.
type Resolution struct {
	Read float64       // nanoseconds to read the clock
	Step int64         // smallest difference of two readings, in nanoseconds
	Late time.Duration // median lateness of the open loop's timer on an idle machine
}

// MeasureResolution takes about 50 ms.
func MeasureResolution(ctx context.Context) Resolution {
	const reads = 10000
	r := Resolution{Step: math.MaxInt64}
	began := now()
	for last, i := began, 0; i < reads; i++ {
		at := now()
		if at > last {
			r.Step = min(r.Step, at-last)
		}
		last = at
	}
	r.Read = float64(now()-began) / reads
	var late []int64
	var done sync.WaitGroup
	done.Go(func() { // on a thread that ends with it
		preciseSleep()
		for range 100 {
			at := now() + 500_000
			sleepUntil(at)
			late = append(late, now()-at)
			if ctx.Err() != nil {
				return
			}
		}
	})
	done.Wait()
	slices.Sort(late)
	r.Late = time.Duration(late[len(late)/2])
	return r
}
