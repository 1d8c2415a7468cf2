package hooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The headers of a request. The signature is
//
//	t=SECONDS,v1=HEX
//
// with one v1 for each secret: the HMAC-SHA256 of the lines v1, SECONDS, the header
// Fanloop-Hook, the header Fanloop-Id and the body. The id is new for each request.
const (
	HeaderSignature = "Fanloop-Signature"
	HeaderHook      = "Fanloop-Hook"
	HeaderID        = "Fanloop-Id"
)

// ErrSignature: the request is not from a service with these secrets, or too old.
var ErrSignature = errors.New("hooks: the signature is not valid")

// mac signs one request.
func mac(secret, seconds, hook, id string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte("v1\n" + seconds + "\n" + hook + "\n" + id + "\n"))
	h.Write(body)
	return h.Sum(nil)
}

// sign adds the headers.
func sign(header http.Header, secrets []string, now time.Time, kind Kind, id string, body []byte) {
	seconds := strconv.FormatInt(now.Unix(), 10)
	parts := []string{"t=" + seconds}
	for _, s := range secrets {
		parts = append(parts, "v1="+hex.EncodeToString(mac(s, seconds, string(kind), id, body)))
	}
	header.Set(HeaderSignature, strings.Join(parts, ","))
	header.Set(HeaderHook, string(kind))
	header.Set(HeaderID, id)
}

// Verify returns nil if a request with this header and body was signed with one of the
// secrets, at most tolerance before or after now; otherwise ErrSignature. Five minutes
// is a good tolerance. Who must not take a request twice remembers Fanloop-Id that
// long.
func Verify(secrets []string, header http.Header, body []byte, now time.Time, tolerance time.Duration) error {
	text := header.Get(HeaderSignature)
	if len(text) > 1024 {
		return ErrSignature
	}
	var seconds string
	var signatures [][]byte
	for part := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			if seconds != "" {
				return ErrSignature
			}
			seconds = value
		case "v1":
			if s, err := hex.DecodeString(value); err == nil {
				signatures = append(signatures, s)
			}
		}
	}
	t, err := strconv.ParseInt(seconds, 10, 64)
	if age := now.Sub(time.Unix(t, 0)); err != nil || age > tolerance || age < -tolerance {
		return ErrSignature
	}
	for _, secret := range secrets {
		want := mac(secret, seconds, header.Get(HeaderHook), header.Get(HeaderID), body)
		for _, s := range signatures {
			if secret != "" && hmac.Equal(s, want) {
				return nil
			}
		}
	}
	return ErrSignature
}
