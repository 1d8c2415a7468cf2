//go:build !unix

package load

// MaxConns is the most connections one process may have: there is no limit here.
func MaxConns() int { return 1 << 20 }

// raiseFileLimit has nothing to raise here.
func raiseFileLimit(int) error { return nil }
