//go:build !portable

package loop

// edgeTriggered: both backends are level-triggered.
const edgeTriggered = false

// newPoller opens the backend that b names.
func newPoller(b Backend) (poller, error) {
	if b == BackendNetpoll {
		return newNetpollPoller()
	}
	return newEpollPoller()
}
