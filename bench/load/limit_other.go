//go:build !unix

package load

// MaxConns is the most connections one process may have: there is no limit here.
func MaxConns() int { return 1 << 20 }

// RaiseFileLimit has nothing to raise here.
func RaiseFileLimit(int) error { return nil }
