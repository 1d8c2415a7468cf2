package service

import (
	"fmt"
	"net"
	"path/filepath"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/hooks"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// accounts say who users are. It is immutable.
type accounts struct {
	develop  *auth.Development // nil: there are accounts
	verifier *auth.Verifier    // nil: there are none
	remote   *auth.Remote      // nil: no keys come from the network
	static   bool              // there are keys besides those
	revoked  *revoke.List
	file     *revoke.File // nil: revocations end with the process
	hooks    map[hooks.Kind]*hooks.Hook
	opened   time.Time
	fetched  func(auth.Health, error) // called as auth.RemoteConfig.Alarm
}

// openAccounts prepares what the settings say, for the node of a name. Without accounts,
// addr has to be of this machine. Hooks are prepared, and fetched is called as
// auth.RemoteConfig.Alarm.
func openAccounts(c *config.Config, addr net.Addr, name string, bus cluster.Bus, prepare func(*hooks.Config), fetched func(auth.Health, error)) (a *accounts, err error) {
	opening := &accounts{opened: time.Now(), fetched: fetched}
	defer func() {
		if err != nil {
			opening.close()
		}
	}()
	a = opening
	if a.hooks, err = c.Hooks.All(prepare); err != nil {
		return nil, err
	}
	lists := revoke.Config{Bus: bus, Name: name, Max: c.Accounts.MaxRevocations}
	if c.HasAccounts() {
		if err := a.openKeys(&c.Accounts); err != nil {
			return nil, err
		}
		if a.verifier != nil {
			lists.Lifetime = a.verifier.MaxLifetime()
			if a.hooks[hooks.Connect] == nil { // otherwise the clock is this one
				lists.Leeway = a.verifier.Leeway()
			}
		}
	} else if a.develop, err = auth.NewDevelopment(addr); err != nil {
		return nil, err
	}
	if c.DataDir != "" {
		if a.file, err = revoke.OpenFile(filepath.Join(c.DataDir, "revocations")); err != nil {
			return nil, fmt.Errorf("service: revocations: %w", err)
		}
		lists.Store = a.file
	}
	a.revoked, err = revoke.New(lists)
	return a, err
}

// openKeys prepares to check tokens, if there are keys. There are none where the backend
// is asked about each.
func (a *accounts) openKeys(c *config.Accounts) error {
	if len(c.Keys) == 0 && c.JWKS.URL == "" {
		return nil
	}
	static, err := c.StaticKeys()
	if err != nil {
		return err
	}
	keys := auth.Several{static}
	a.static = len(static) > 0
	if remote, ok := c.Remote(); ok {
		remote.Alarm = a.fetched
		if a.remote, err = auth.NewRemote(remote); err != nil {
			return err
		}
		keys = append(keys, a.remote)
	}
	a.verifier, err = c.Verifier(keys)
	return err
}

func (a *accounts) close() {
	for _, h := range a.hooks {
		h.Close()
	}
	if a.revoked != nil {
		a.revoked.Close()
	}
	if a.file != nil {
		_ = a.file.Close() // each record was stored when it was added
	}
	if a.remote != nil {
		a.remote.Close()
	}
}

// connect checks who a client is. It uses the CPU and belongs on the crew.
func (a *accounts) connect(c *protocol.Connect, from *origin) (auth.Claims, error) {
	if a.develop != nil {
		return a.develop.Identify(c.User, from.remote, from.host, from.header)
	}
	return a.verifier.Connection(auth.NewToken(c.Token))
}

// identity is what a session knows of a user.
func (a *accounts) identity(claims *auth.Claims) session.Identity {
	who := session.Identity{User: claims.User, Name: claims.Name}
	if grants := claims.Grants; grants.Topics != nil || grants.Namespaces != nil {
		who.Grants = &grants // not those of claims: the session would keep all of it
	}
	switch {
	case a.hooks[hooks.Connect] != nil:
		who.Expires = claims.Expires
	case a.verifier != nil:
		who.Expires, who.Grace = claims.Expires, a.verifier.Leeway()
	}
	return who
}

// revocable is what of a token may be revoked.
func revocable(c *auth.Claims) revoke.Identity {
	return revoke.Identity{User: c.User, Session: c.Session, Token: c.ID, Issued: c.Issued}
}
