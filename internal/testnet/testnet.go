// Package testnet gives tests addresses. Only tests import it.
package testnet

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// nextPort is that of the next FreeAddr.
var nextPort atomic.Int32

// FreeAddr returns an address that is free and stays so while nobody listens on it, for
// servers that are to have it again after a restart. Its IP is one that this process has
// to itself, where the system has as many, and its port is out of the range from which
// the system takes ports for connections.
func FreeAddr(t testing.TB) string {
	t.Helper()
	pid := os.Getpid()
	own := netip.AddrFrom4([4]byte{127, byte(16 + pid>>16&63), byte(pid >> 8), byte(pid)}).String()
	for range 10_000 {
		port := strconv.Itoa(20_000 + int(nextPort.Add(1))%12_000)
		for _, ip := range []string{own, "127.0.0.1"} {
			addr := net.JoinHostPort(ip, port)
			if ln, err := net.Listen("tcp", addr); err == nil {
				_ = ln.Close()
				return addr
			}
		}
	}
	t.Fatal("no free ports")
	panic("unreachable")
}
