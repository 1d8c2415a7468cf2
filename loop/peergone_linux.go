//go:build !portable

package loop

import "golang.org/x/sys/unix"

// hangups are the events of a peer that has gone; errors are reported with them.
const hangups = unix.POLLRDHUP
