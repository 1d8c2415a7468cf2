//go:build (darwin || freebsd) && !portable

package loop

// hangups: only errors, and the end of both directions, are reported here.
const hangups = 0
