//go:build (darwin || freebsd) && !portable

package loop

import "github.com/panjf2000/gnet/v2/pkg/netpoll"

// edgeTriggered: netpoll cannot take back a kqueue read filter, so a paused
// connection would be reported for ever if filters were level-triggered. Who
// stops before the descriptor is drained has to mod it to hear of it again.
const edgeTriggered = true

// netpollBuilt reports whether BackendNetpoll is there.
const netpollBuilt = true

// newPoller opens kqueue through netpoll, the one backend there is here.
func newPoller(Backend) (poller, error) { return newNetpollPoller() }

// mod adds filters; one that is no longer wanted fires once more at most and
// is ignored. Readiness that came while a filter was not wanted is asked for
// again by adding the filter.
func (p *netpollPoller) mod(fd int, _, want interest) error { return p.add(fd, want) }

// del leaves the filters to close(2), which removes them.
func (p *netpollPoller) del(int, interest) error { return nil }

func netpollInterest(event netpoll.IOEvent, flags netpoll.IOFlags) (ev interest) {
	if netpoll.IsReadEvent(event) {
		ev |= readable
	}
	if netpoll.IsWriteEvent(event) {
		ev |= writable
	}
	if netpoll.IsErrorEvent(event, flags) {
		ev |= readable | hangup
	}
	return ev
}
