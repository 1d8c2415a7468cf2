package live

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
)

// prefixes are those in use: the Topics of each server that are not closed.
var prefixes = struct {
	sync.Mutex
	of map[*engine.Server][]*Topics
}{of: make(map[*engine.Server][]*Topics)}

// claim takes the prefix of t, or panics.
func (t *Topics) claim() {
	prefixes.Lock()
	defer prefixes.Unlock()
	for _, other := range prefixes.of[t.server] {
		if a, b := t.config.Prefix, other.config.Prefix; strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
			panic(fmt.Sprintf("live: Config.Prefix %q and %q, of other Topics of the server, begin with each other; choose another one", a, b))
		}
	}
	prefixes.of[t.server] = append(prefixes.of[t.server], t)
}

// unclaim gives the prefix back.
func (t *Topics) unclaim() {
	prefixes.Lock()
	defer prefixes.Unlock()
	rest := slices.DeleteFunc(prefixes.of[t.server], func(other *Topics) bool { return other == t })
	if prefixes.of[t.server] = rest; len(rest) == 0 {
		delete(prefixes.of, t.server)
	}
}
