//go:build !linux

package history

import "time"

func resident() uint64       { return 0 } // not known here
func cpuTime() time.Duration { return 0 }
