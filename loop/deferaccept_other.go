//go:build !linux || portable

package loop

// deferAccept does nothing here.
func deferAccept(int) {}
