// Package proxyheader reads the PROXY header, version 1 and 2 (HAProxy's
// proxy-protocol.txt), and says from whom it is taken.
package proxyheader

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"net"

	"github.com/pires/go-proxyproto"
)

// Max is the length of the longest header, in bytes.
const Max = headV2 + 4<<10

const (
	maxV1  = 107
	headV2 = 16 // of fixed length, before what it says the length of
)

// Ends are the two ends of a connection, as a proxy sees them.
type Ends struct{ Remote, Local net.Addr }

var (
	errMissing = errors.New("the connection does not begin with PROXY")
	errTooLong = errors.New("the PROXY header is too long")
)

// Parse reads the PROXY header at the front of b, of n bytes. n == 0 means that b
// is too short, which it never is from Max on. ends is nil if the header says that
// the connection is the proxy's own.
func Parse(b []byte) (ends *Ends, n int, err error) {
	switch {
	case hasPrefixSoFar(b, proxyproto.SIGV1):
		line := b[:min(len(b), maxV1)]
		n = bytes.IndexByte(line, '\n') + 1
		if n == 0 && len(line) == maxV1 {
			return nil, 0, errTooLong
		}
	case hasPrefixSoFar(b, proxyproto.SIGV2):
		if len(b) < headV2 {
			return nil, 0, nil
		}
		n = headV2 + int(binary.BigEndian.Uint16(b[headV2-2:]))
		if n > Max {
			return nil, 0, errTooLong
		}
	default:
		return nil, 0, errMissing
	}
	if n == 0 || len(b) < n {
		return nil, 0, nil
	}
	h, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(b[:n]), n))
	if err != nil {
		return nil, 0, err
	}
	if h.Command.IsLocal() || h.SourceAddr == nil || h.DestinationAddr == nil {
		return nil, n, nil
	}
	return &Ends{Remote: h.SourceAddr, Local: h.DestinationAddr}, n, nil
}

// hasPrefixSoFar reports whether b begins with prefix, or may once there is more.
func hasPrefixSoFar(b, prefix []byte) bool {
	n := min(len(b), len(prefix))
	return bytes.Equal(b[:n], prefix[:n])
}
