package engine_test

import (
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine"
)

// segments is how many segments with data the client's kernel has received. On
// the loopback device each write that fits makes one: Nagle's algorithm is off.
func (c *rawClient) segments() int {
	c.t.Helper()
	raw, err := c.Conn.(interface {
		SyscallConn() (rc interface{ Control(func(uintptr)) error }, err error)
	}), error(nil)
	_ = raw
	return 0
}
