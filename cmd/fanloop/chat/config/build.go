package config

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/limits"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/engine/cluster/presence"
)

// keyError is about one key of the file.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.text() }
func (e *keyError) Unwrap() error { return e.err }

// inner begins the texts of packages that name what the key names already.
var inner = regexp.MustCompile(`^(?:auth: |engine: certificate: |hooks: (?:(?:connect|subscribe|publish|refresh): )?|rules: (?:namespace "[^"]*": )?)`)

// text is that of the error, which says what is wrong and not where.
func (e *keyError) text() string { return inner.ReplaceAllString(e.err.Error(), "") }

func at(key string, err error) error {
	if err == nil {
		return nil
	}
	return &keyError{key, err}
}

// DefaultNamespace is the name of the rules for topics that have no namespace.
const DefaultNamespace = rules.DefaultName

// Rules are those of the namespaces.
func (c *Config) Rules() (*rules.Rules, error) {
	all := make(map[string]rules.Namespace, len(c.Namespaces))
	var errs []error
	for name, n := range c.Namespaces {
		key := "namespaces." + name
		if name == DefaultNamespace {
			name = ""
		}
		one := rules.Namespace{HistorySize: n.HistorySize, HistoryAge: n.HistoryAge, Presence: presence.Level(n.Presence), ReadPositions: n.ReadPositions, Who: n.Who}
		if _, err := rules.New(map[string]rules.Namespace{name: one}); err != nil {
			errs = append(errs, at(key, err))
		}
		all[name] = one
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return rules.New(all)
}

// HasAccounts reports whether users are known by tokens or by a hook. Without, only
// loopback addresses may be served.
func (c *Config) HasAccounts() bool {
	return len(c.Accounts.Keys) > 0 || c.Accounts.JWKS.URL != "" || c.Hooks.Connect != nil
}

// StaticKeys are the configured keys. It reads their files.
func (a *Accounts) StaticKeys() (auth.Static, error) {
	var all []*auth.Key
	var errs []error
	for i, k := range a.Keys {
		text, err := k.text()
		var one *auth.Key
		if err == nil {
			one, err = auth.NewKey(k.ID, k.Algorithm, text)
		}
		all, errs = append(all, one), append(errs, at(fmt.Sprintf("accounts.keys[%d]", i), err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	keys, err := auth.NewStatic(all...)
	return keys, at("accounts.keys", err)
}

// text is the key, or what its file has.
func (k *Key) text() (string, error) {
	given := 0
	for _, s := range []string{k.Secret.Reveal(), k.SecretFile, k.PublicFile} {
		if s != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return "", fmt.Errorf("want one of secret, secret-file and public-file")
	case k.PublicFile != "":
		text, err := os.ReadFile(k.PublicFile)
		return string(text), err
	}
	return secretOf(k.Secret, k.SecretFile)
}

// secretOf is a secret, or the text of its file without a line end.
func secretOf(s Secret, file string) (string, error) {
	if file == "" {
		return s.Reveal(), nil
	}
	text, err := os.ReadFile(file)
	return strings.TrimRight(string(text), "\r\n"), err
}

// Remote is where keys come from; ok is false if they do not.
func (a *Accounts) Remote() (c auth.RemoteConfig, ok bool) {
	j := a.JWKS
	return auth.RemoteConfig{URL: j.URL, Every: j.Every, AtLeast: j.AtLeast, MaxStale: j.MaxStale}, j.URL != ""
}

// Verifier is how tokens are checked with keys.
func (a *Accounts) Verifier(keys auth.Keys) (*auth.Verifier, error) {
	leeway := a.Leeway
	if leeway == 0 {
		leeway = -1 // none
	}
	return auth.NewVerifier(auth.Config{Keys: keys, Audience: a.Audience, Issuer: a.Issuer, MaxLifetime: a.MaxLifetime, Leeway: leeway})
}

// All are the hooks that are configured, each after prepare. It reads the files of their
// secrets.
func (h *Hooks) All(prepare func(*hooks.Config)) (map[hooks.Kind]*hooks.Hook, error) {
	all := make(map[hooks.Kind]*hooks.Hook)
	var errs []error
	for kind, one := range map[hooks.Kind]*Hook{
		hooks.Connect: h.Connect, hooks.Subscribe: h.Subscribe, hooks.Publish: h.Publish, hooks.Refresh: h.Refresh,
	} {
		if one == nil {
			continue
		}
		c, err := one.config(kind)
		if err == nil {
			prepare(&c)
			all[kind], err = hooks.New(c)
		}
		errs = append(errs, at("hooks."+string(kind), err))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return all, nil
}

func (h *Hook) config(kind hooks.Kind) (hooks.Config, error) {
	c := hooks.Config{
		Kind: kind, URL: h.URL, Timeout: h.Timeout, Concurrency: h.Concurrency, Waiting: h.Waiting,
		Otherwise: hooks.Otherwise(h.Otherwise), Failures: h.Failures, Open: h.Open, PublicOnly: h.PublicOnly,
	}
	for _, s := range h.Secrets {
		c.Secrets = append(c.Secrets, s.Reveal())
	}
	for _, file := range h.SecretFiles {
		s, err := secretOf(Secret{}, file)
		if err != nil {
			return c, err
		}
		c.Secrets = append(c.Secrets, s)
	}
	return c, nil
}

// Limits are those of p.
func (p *Per) Limits() limits.Limits {
	return limits.Limits{
		Connections: p.Connections, Topics: p.Topics,
		Connects: limits.Rate(p.Connects), Commands: limits.Rate(p.Commands), Bytes: limits.Rate(p.Bytes),
	}
}

// minCallerKey is the length of a caller's key, and an operator's, at least.
const minCallerKey = 32

// OperatorKey is what operators show; empty: there is none. It reads its file.
func (c *Config) OperatorKey() (string, error) {
	key, err := secretOf(c.Operator.Key, c.Operator.KeyFile)
	switch {
	case err != nil:
		return "", at("operator.key-file", err)
	case key == "" && c.Operator.KeyFile != "", key != "" && len(key) < minCallerKey:
		return "", at("operator", fmt.Errorf("want a key of at least %d characters", minCallerKey))
	}
	return key, nil
}

// Callers are backends by what they show. The zero value has none.
type Callers struct {
	// byKey has hashes: how long a look-up takes says nothing of a key.
	byKey         map[[32]byte]rules.Caller
	byCertificate map[string]rules.Caller
}

// Find returns the caller who has a key.
func (c *Callers) Find(key string) (rules.Caller, bool) {
	caller, ok := c.byKey[sha256.Sum256([]byte(key))]
	return caller, ok
}

// FindCertificate returns the caller who has a certificate with one of these names.
func (c *Callers) FindCertificate(names []string) (rules.Caller, bool) {
	for _, name := range names {
		if caller, ok := c.byCertificate[name]; ok {
			return caller, true
		}
	}
	return rules.Caller{}, false
}

// APICallers are the backends that may use the server API. It reads the files of their
// keys.
func (c *Config) APICallers() (Callers, error) {
	all := Callers{make(map[[32]byte]rules.Caller), make(map[string]rules.Caller)}
	var names []string
	var errs []error
	for i := range c.Callers {
		one := &c.Callers[i]
		caller, err := one.caller()
		if err == nil && (one.Name == "" || slices.Contains(names, one.Name)) {
			err = errors.New("want a name that no other caller has")
		}
		if err == nil {
			err = all.add(one, caller, c.AdminClientCA != "")
		}
		errs = append(errs, at(fmt.Sprintf("callers[%d]", i), err))
		names = append(names, one.Name)
	}
	if err := errors.Join(errs...); err != nil {
		return Callers{}, err
	}
	return all, nil
}

// add finds a place for a caller by what it shows.
func (c *Callers) add(one *Caller, caller rules.Caller, certificates bool) error {
	if one.Certificate != "" {
		other, taken := c.byCertificate[one.Certificate]
		switch {
		case one.Key.Reveal() != "" || one.KeyFile != "":
			return errors.New("want a key or a certificate, and not both")
		case !certificates:
			return errors.New("set admin-client-ca to the authorities of certificates")
		case taken:
			return fmt.Errorf("the certificate is that of %q too", other.Name)
		}
		c.byCertificate[one.Certificate] = caller
		return nil
	}
	secret, err := secretOf(one.Key, one.KeyFile)
	other, taken := c.Find(secret)
	switch {
	case err != nil:
		return err
	case len(secret) < minCallerKey:
		return fmt.Errorf("want a key of at least %d characters, or a certificate", minCallerKey)
	case taken:
		return fmt.Errorf("the key is that of %q too", other.Name)
	}
	c.byKey[sha256.Sum256([]byte(secret))] = caller
	return nil
}

func (c *Caller) caller() (rules.Caller, error) {
	one := rules.Caller{Name: c.Name, Calls: make(map[rules.Call]bool)}
	for _, name := range c.Calls {
		call, err := rules.ParseCall(name)
		if err != nil {
			return one, err
		}
		one.Calls[call] = true
	}
	for _, name := range c.Namespaces {
		if one.Namespaces == nil {
			one.Namespaces = make(map[string]bool)
		}
		if name == DefaultNamespace {
			name = ""
		}
		one.Namespaces[name] = true
	}
	return one, nil
}
