//go:build netpoll && !portable

package loop

import (
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"
)

// netpollBuilt reports whether BackendNetpoll is there.
const netpollBuilt = true

func (p *netpollPoller) mod(fd int, had, want interest) error {
	if had&(readable|writable) != 0 {
		if err := p.p.Delete(fd); err != nil {
			return err
		}
	}
	return p.add(fd, want)
}

func (p *netpollPoller) del(fd int, had interest) error {
	if had&(readable|writable) == 0 {
		return nil
	}
	return p.p.Delete(fd)
}

func netpollInterest(event netpoll.IOEvent, flags netpoll.IOFlags) (ev interest) {
	if netpoll.IsReadEvent(event) || event&unix.EPOLLRDHUP != 0 {
		ev |= readable
	}
	if netpoll.IsErrorEvent(event, flags) {
		ev |= readable | hangup
	}
	if netpoll.IsWriteEvent(event) {
		ev |= writable
	}
	return ev
}
