package config

import (
	"errors"
	"fmt"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/proxies"
)

// Proxies are those in front of this node.
func (c *Config) Proxies() (proxies.Proxies, error) {
	p, err := proxies.New(c.TrustedProxies, c.ProxyHeader)
	if one, ok := errors.AsType[*proxies.Error](err); ok {
		return p, at(fmt.Sprintf("trusted-proxies[%d]", one.Index), err)
	}
	if err == nil && len(c.TrustedProxies) == 0 && c.ProxyHeader == proxies.Protocol {
		err = errors.New("set trusted-proxies to the proxies that send it")
	}
	return p, at("proxy-header", err)
}
