package config

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/handshake"
)

// check finds invalid values. Every error has the key, and its line if the file has it.
// A key that is not in the file is that of a flag.
func (c *Config) check(file string, lines map[string]int) error {
	var all []error
	for _, err := range flat(c.mistakes()) {
		var k *keyError
		switch {
		case err == nil:
		case !errors.As(err, &k):
			all = append(all, &Error{File: file, Msg: err.Error()})
		default:
			e := &Error{file, lineOf(lines, k.key), k.key, k.text()}
			if e.Line == 0 && isFlag(k.key) {
				e.File, e.Key = "", "--"+k.key
			}
			all = append(all, e)
		}
	}
	return errors.Join(all...)
}

// flat replaces errors that were joined by their parts.
func flat(errs []error) (all []error) {
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = append(all, flat(joined.Unwrap())...)
			continue
		}
		all = append(all, err)
	}
	return all
}

// lineOf is the line of a key, or of the one around it that is in the file.
func lineOf(lines map[string]int, key string) int {
	for key != "" {
		if line, ok := lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 0
}

func (c *Config) mistakes() []error {
	_, errRules := c.Rules()
	_, errKeys := c.Accounts.StaticKeys()
	_, errHooks := c.Hooks.All(func(*hooks.Config) {})
	_, errCallers := c.APICallers()
	_, errOperator := c.OperatorKey()
	errs := []error{
		at("listen", checkAddress(c.Listen)), at("address", checkPublic(c.Address)), c.checkAdmin(), c.checkOpen(), c.checkOrigins(), c.Page.check(),
		errRules, c.checkAges(), errKeys, errHooks, errCallers, c.checkScopes(), errOperator, c.Accounts.check(), c.Limits.check(), c.Traces.check(), c.Idempotency.check(),
	}
	_, errProxies := c.Proxies()
	errs = append(append(errs, errProxies), c.checkTLS()...)
	return append(errs, c.checkCluster()...)
}

func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "" {
		return fmt.Errorf("%q is not an address: write it like 127.0.0.1:8000", address)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%q has no port from 0 to 65535", address)
	}
	return nil
}

// checkPublic wants an origin, as a browser writes it.
func checkPublic(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || address != u.Scheme+"://"+strings.ToLower(u.Host) || strings.ContainsAny(u.Host, "*;, ") {
		return fmt.Errorf("%q: want what is in front of the path, like https://n1.chat.example or http://127.0.0.1:8000", address)
	}
	return nil
}

func (c *Config) checkAdmin() error {
	if c.Admin == "" {
		return nil
	}
	err := checkAddress(c.Admin)
	if err == nil && !IsLoopback(c.Admin) && c.Operator.isOpen() {
		err = errors.New("other machines reach this address: set operator.key-file, or operator.certificates")
	}
	return at("admin", err)
}

// checkOpen refuses to let everybody in from everywhere.
func (c *Config) checkOpen() error {
	if c.HasAccounts() || checkAddress(c.Listen) != nil || IsLoopback(c.Listen) {
		return nil
	}
	return at("listen", fmt.Errorf("%w: accounts.keys, accounts.jwks.url or hooks.connect", auth.ErrNotLoopback))
}

func (c *Config) checkOrigins() error {
	var errs []error
	for i, origin := range c.Origins {
		if _, err := handshake.ParseOrigins(origin); err != nil || origin == "*" || origin == "null" {
			errs = append(errs, at(fmt.Sprintf("origins[%d]", i), fmt.Errorf("%q: want an origin like https://example.com", origin)))
		}
	}
	return errors.Join(errs...)
}

func (p *Page) check() error {
	return cmp.Or(
		at("page.token-url", checkOfSite(p.TokenURL, "/chat-token")),
		at("page.sign-in-url", checkOfSite(p.SignInURL, "/sign-in")),
	)
}

// checkOfSite takes a path, and a URL of another origin that nobody can read or change on
// the way.
func checkOfSite(address, example string) error {
	u, err := url.Parse(address)
	path := err == nil && u.Scheme == "" && u.Host == "" && (address == "" || strings.HasPrefix(u.Path, "/"))
	elsewhere := err == nil && checkPublic(u.Scheme+"://"+u.Host) == nil && (u.Scheme == "https" || IsLoopback(u.Host))
	if u == nil || u.User != nil || !path && !elsewhere {
		return fmt.Errorf("%q: want a path of the page's own origin, like %s, or a URL with https", address, example)
	}
	return nil
}

func (a *Accounts) check() error {
	var errs []error
	if a.MaxLifetime <= 0 {
		errs = append(errs, at("accounts.max-lifetime", errors.New("want more than 0")))
	}
	if a.MaxRevocations <= 0 {
		errs = append(errs, at("accounts.max-revocations", errors.New("want more than 0")))
	}
	if j := &a.JWKS; j.URL != "" && (j.Every < time.Second || j.AtLeast < time.Second || j.MaxStale < j.Every) {
		errs = append(errs, at("accounts.jwks", errors.New("want every and at-least of 1s or more, and a max-stale that is not less than every")))
	}
	if remote, ok := a.Remote(); ok {
		errs = append(errs, at("accounts.jwks.url", remote.Check()))
	}
	return errors.Join(errs...)
}

// checkAges wants messages kept while their ids are recognized.
func (c *Config) checkAges() error {
	atLeast := time.Duration(protocol.DefaultLimits().Duplicates) * time.Millisecond
	var errs []error
	for name, n := range c.Namespaces {
		if n.HistoryAge > 0 && n.HistoryAge < atLeast {
			errs = append(errs, at("namespaces."+name+".history-age", fmt.Errorf(
				"want %v (limits.duplicates of the protocol) or more: ids of messages are recognized that long; or 0, with a history-size of 0, for no history", atLeast)))
		}
	}
	return errors.Join(errs...)
}

// checkScopes finds namespaces of callers that do not exist.
func (c *Config) checkScopes() error {
	known := slices.Sorted(maps.Keys(c.Namespaces))
	var errs []error
	for i, caller := range c.Callers {
		for j, name := range caller.Namespaces {
			if name != DefaultNamespace && !slices.Contains(known, name) {
				errs = append(errs, at(fmt.Sprintf("callers[%d].namespaces[%d]", i, j),
					fmt.Errorf("there is no namespace %q%s", name, cli.DidYouMean(name, known))))
			}
		}
	}
	return errors.Join(errs...)
}

func (t *Traces) check() error {
	u, err := url.Parse(t.URL)
	var errs []error
	if t.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		errs = append(errs, at("traces.url", errors.New("want the URL of a collector, like http://127.0.0.1:4318")))
	}
	if t.Sample > 1 {
		errs = append(errs, at("traces.sample", errors.New("want a part of 1, from 0 to 1")))
	}
	return errors.Join(errs...)
}

func (l *Limits) check() error {
	var errs []error
	switch {
	case l.Message < 1<<10:
		errs = append(errs, at("limits.message", errors.New("want 1KiB or more")))
	case l.Data <= 0 || l.Data > l.Message-512:
		errs = append(errs, at("limits.data", errors.New("want more than 0, and 512 bytes less than limits.message")))
	}
	if l.Topics <= 0 {
		errs = append(errs, at("limits.topics", errors.New("want more than 0")))
	}
	for key, p := range map[string]*Per{"limits.user": &l.User, "limits.address": &l.Address} {
		for name, r := range map[string]Rate{"connects": p.Connects, "commands": p.Commands, "bytes": p.Bytes} {
			if r.PerSecond > 0 && r.Burst < 1 {
				errs = append(errs, at(key+"."+name, errors.New("want a burst of 1 or more")))
			}
		}
		if r := p.Bytes; r.PerSecond > 0 && r.Burst >= 1 && r.Burst < float64(l.Message) {
			errs = append(errs, at(key+".bytes", errors.New("want a burst of limits.message or more")))
		}
	}
	return errors.Join(errs...)
}

func (i *Idempotency) check() error {
	if i.Keep <= 0 || i.MaxKeys <= 0 || i.MaxBytes <= 0 {
		return at("idempotency", errors.New("want more than 0 for each"))
	}
	return nil
}
