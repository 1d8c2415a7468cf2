//go:build (darwin || freebsd) && !portable

package loop

import (
	gio "github.com/panjf2000/gnet/v2/pkg/io"
	"golang.org/x/sys/unix"
)

// The runtime ignores SIGPIPE for sockets, so plain calls do.

func recv(fd int, b []byte) (int, error) { return unix.Read(fd, b) }

func send(fd int, b []byte) (int, error) { return unix.Write(fd, b) }

func writev(fd int, bufs [][]byte) (int, error) { return gio.Writev(fd, bufs) }
