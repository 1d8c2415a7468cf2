//go:build race && !portable

package loop

import "golang.org/x/sys/unix"

// The ordinary calls, which tell the race detector what they read and write.

const sendFlags = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

func recv(fd int, b []byte) (int, error) {
	n, _, err := unix.Recvfrom(fd, b, unix.MSG_DONTWAIT)
	return n, err
}

func send(fd int, b []byte) (int, error) {
	return unix.SendmsgBuffers(fd, [][]byte{b}, nil, nil, sendFlags)
}

func writev(fd int, bufs [][]byte) (int, error) {
	return unix.SendmsgBuffers(fd, bufs, nil, nil, sendFlags)
}
