package cli

import (
	"slices"
	"strings"

	"github.com/fanloop-go/fanloop/handshake"
)

// CheckSubprotocols refuses names that cannot be in a handshake (RFC 6455 section
// 4.1), and those that are given twice.
func CheckSubprotocols(names []string) error {
	for i, name := range names {
		if name == "" || strings.Trim(name, tokenChars) != "" {
			return Usagef("--subprotocol %q: want letters, digits and any of !#$%%&'*+-.^_`|~", name)
		}
		if slices.Contains(names[:i], name) {
			return Usagef("--subprotocol %q is there twice: give it once", name)
		}
	}
	return nil
}

// tokenChars are those of a token (RFC 9110 section 5.6.2).
const tokenChars = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// CheckOrigin refuses what no Origin header can be. patterns are allowed for a
// server, which compares by them.
func CheckOrigin(origin string, patterns bool) error {
	_, err := handshake.ParseOrigins(origin)
	switch {
	case patterns && err != nil:
		return Usagef("--origin %q: want an origin like https://example.com, https://*.example.com, null or *", origin)
	case !patterns && (err != nil || strings.Contains(origin, "*")):
		return Usagef("--origin %q: want an origin like https://example.com, or null", origin)
	}
	return nil
}
