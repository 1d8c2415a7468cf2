//go:build (darwin || freebsd) && !portable

package loop

// unacknowledged cannot be told here: what the kernel took counts as taken.
func unacknowledged(int) int { return 0 }

// acknowledged cannot be told here either.
func acknowledged(int) int { return 0 }
