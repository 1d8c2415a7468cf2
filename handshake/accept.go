package handshake

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

const (
	acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455 §1.3
	keySize    = 24                                     // base64 of 16 bytes
)

// NewKey makes a Sec-WebSocket-Key: 16 random bytes in base64 (RFC 6455 §4.1).
// Every connection needs its own.
func NewKey() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails, says crypto/rand
	return base64.StdEncoding.EncodeToString(nonce[:])
}

// AcceptKey gives the Sec-WebSocket-Accept that answers key (RFC 6455 §4.2.2).
func AcceptKey(key string) string {
	var accept [28]byte
	return string(AppendAcceptKey(accept[:0], key))
}

// AppendAcceptKey appends the 28 bytes of AcceptKey. It allocates nothing when
// dst has room and key is a valid one.
func AppendAcceptKey(dst []byte, key string) []byte {
	var text [keySize + len(acceptGUID)]byte
	sum := sha1.Sum(append(append(text[:0], key...), acceptGUID...))
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// isKey checks that key is 16 bytes in base64.
func isKey(key string) bool {
	return len(key) == keySize && key[keySize-2:] == "==" && span(key[:keySize-2], base64Octet) == keySize-2
}
