package testkit

import (
	"strings"

	"github.com/fanloop-go/fanloop/codec"
)

// UpgradeHead returns the head of a valid opening handshake for addr, with further header
// lines.
func UpgradeHead(addr string, lines ...string) string {
	return "GET /chat HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
		strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// AcceptKey answers the key of UpgradeHead (RFC 6455 section 1.3).
const AcceptKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

// Masked returns one masked frame of a whole message or control frame.
func Masked(op codec.OpCode, payload string) string {
	return string(codec.AppendMaskedFrame(nil, op, true, []byte(payload)))
}
