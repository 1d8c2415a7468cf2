// Package tlsconfig adapts configurations of TLS to connections on event loops.
package tlsconfig

import (
	"crypto/tls"
	"slices"
	"sync"
	"time"

	"github.com/fanloop-go/fanloop/loop"
)

// Client returns a copy of config, which may be nil, for a WebSocket to host. host
// is its ServerName unless it has one. It offers http/1.1 and no other protocol:
// RFC 6455 is about no other.
func Client(config *tls.Config, host string) *tls.Config {
	config = config.Clone()
	if config == nil {
		config = new(tls.Config)
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	config.DynamicRecordSizingDisabled = true // what is queued is one record
	return config
}

// Server returns a copy of config for connections that a loop serves, or will.
// protos returns their NextProtos, given those of config. What GetConfigForClient
// returns is adapted likewise. Copies of one config resume the sessions of one another.
func Server(config *tls.Config, protos func([]string) []string) *tls.Config {
	original := config
	config = adapted(config, protos)
	if config.WrapSession == nil && config.UnwrapSession == nil { // copies would make keys of their own
		config.WrapSession, config.UnwrapSession = original.EncryptTicket, original.DecryptTicket
	}
	if get := config.GetConfigForClient; get != nil {
		clients := &clientConfigs{protos: protos, now: time.Now}
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			theirs, err := get(hello)
			if theirs == nil || err != nil {
				return nil, err
			}
			return clients.adapted(theirs), nil
		}
	}
	return config
}

func adapted(config *tls.Config, protos func([]string) []string) *tls.Config {
	config = loop.IsolateTLS(config).Clone()
	if config.NextProtos = protos(config.NextProtos); len(config.NextProtos) == 0 {
		config.NextProtos = []string{"http/1.1"}
	}
	config.DynamicRecordSizingDisabled = true // what is queued is one record
	return config
}

// AnyProtocol keeps the protocols: net/http may speak HTTP/2.
func AnyProtocol(protos []string) []string { return protos }

// NoHTTP2 drops HTTP/2: our own server opens WebSockets by HTTP/1.1.
func NoHTTP2(protos []string) []string {
	return slices.DeleteFunc(slices.Clone(protos), func(p string) bool { return p == "h2" })
}

// clientConfigs remembers how what GetConfigForClient returned was adapted, since
// it is mostly the same and connections keep it.
type clientConfigs struct {
	protos func([]string) []string
	now    func() time.Time

	mu    sync.Mutex
	known map[*tls.Config]*tls.Config
	since time.Time // when known was empty
}

const (
	// A copy is made anew after a while: SetSessionTicketKeys may be called on a
	// configuration that is in use.
	clientConfigAge  = time.Minute
	maxClientConfigs = 128
)

// adapted returns the copy of config. Any goroutine.
func (cs *clientConfigs) adapted(config *tls.Config) *tls.Config {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	now := cs.now()
	if known := cs.known[config]; known != nil && now.Sub(cs.since) < clientConfigAge {
		return known
	}
	if len(cs.known) >= maxClientConfigs || now.Sub(cs.since) >= clientConfigAge {
		cs.known, cs.since = make(map[*tls.Config]*tls.Config), now
	}
	copied := adapted(config, cs.protos)
	cs.known[config] = copied
	return copied
}
