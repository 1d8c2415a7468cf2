package load

import (
	"strings"
	"testing"
)

// A server may leave a message plain that does not shrink, and a slice may have no other.
func TestServerMayLeaveSomeMessagesPlain(t *testing.T) {
	plain, packed := Window{Messages: 5000}, Window{Messages: 5000, Compressed: 5000}
	for name, c := range map[string]struct {
		windows []Window
		fails   bool
	}{
		"one of several":    {[]Window{plain, packed, plain, plain, plain, plain, plain, plain, plain, plain, plain}, false},
		"too few to say":    {[]Window{plain, plain, plain, plain, plain, plain, plain}, false},
		"all of them":       {[]Window{plain, plain, plain, plain, plain, plain, plain, plain}, true},
		"all of one window": {[]Window{{Messages: 50_000}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := &Generator{cfg: Config{Mode: Fanout, Conns: 5000, Size: 1024, Compression: Deflate}}
			var err error
			for _, w := range c.windows {
				if err = g.judge(w); err != nil {
					break
				}
			}
			if c.fails != (err != nil && strings.Contains(err.Error(), "compressed none of")) {
				t.Errorf("error %v", err)
			}
		})
	}
}
