//go:build (linux || darwin || freebsd) && !portable

package loop

// portableBackend says that descriptors are none of the system.
const portableBackend = false

// systemFD returns the descriptor of c, which the caller has locked or owns.
func systemFD(c *Conn) int { return int(c.fd) }
