package cli

import (
	"net/url"
	"strconv"
	"strings"
)

// Address is where a client goes.
type Address struct {
	URL   string // ws or wss, for the engine
	Shown string // without user and password, for messages
}

// schemes are those that an address may begin with, and what they mean.
var schemes = map[string]string{"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}

// ParseAddress completes what its user may leave out and checks what he can get
// wrong: 127.0.0.1:9001, :9001 and http://127.0.0.1:9001 are taken as well as
// ws://127.0.0.1:9001.
func ParseAddress(text string) (Address, error) {
	quoted, full := QuotedURL(text), text
	switch {
	case strings.HasPrefix(text, ":"):
		full = "ws://localhost" + text
	case !strings.Contains(text, "://"):
		full = "ws://" + text
	}
	u, err := url.Parse(full)
	if err != nil || schemes[u.Scheme] == "" || u.Hostname() == "" {
		return Address{}, Usagef("%s is not a WebSocket URL: write it like ws://127.0.0.1:9001/path%s", quoted, nearScheme(full))
	}
	if u.Fragment != "" { // RFC 6455 section 3
		return Address{}, Usagef("%s: a WebSocket URL has no fragment; write # as %%23", quoted)
	}
	full = schemes[u.Scheme] + full[strings.Index(full, "://"):]
	u.Scheme, u.User = schemes[u.Scheme], nil
	shown := u.String()
	if strings.Contains(shown, "@") {
		shown = u.Scheme + "://..."
	}
	return Address{full, shown}, nil
}

// nearScheme names the scheme that is meant by one that is spelled nearly like it.
func nearScheme(full string) string {
	scheme, _, _ := strings.Cut(full, "://")
	if schemes[scheme] != "" {
		return ""
	}
	return DidYouMean(scheme, []string{"ws", "wss", "http", "https"})
}

// QuotedURL is rawURL as errors show it, which may hold a password before an @.
func QuotedURL(rawURL string) string {
	if strings.Contains(rawURL, "@") {
		return "[a URL with an @, not shown]"
	}
	return strconv.Quote(rawURL)
}
