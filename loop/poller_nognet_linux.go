//go:build !netpoll && !portable

package loop

import "errors"

// netpollBuilt reports whether BackendNetpoll is there: it brings a logger and what
// that needs into every program, and Linux has no use for it but to be compared.
const netpollBuilt = false

func newNetpollPoller() (poller, error) {
	return nil, errors.New("loop: BackendNetpoll is not built in; build with -tags netpoll")
}
