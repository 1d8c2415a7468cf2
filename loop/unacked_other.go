//go:build (darwin || freebsd) && !portable

package loop

// unacknowledged is unknown here: what the kernel took counts as taken.
func unacknowledged(int) int { return 0 }

// acknowledged is unknown here, too.
func acknowledged(int) int { return 0 }
