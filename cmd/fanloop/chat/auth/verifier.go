package auth

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
)

// Config is how tokens are checked.
type Config struct {
	// Keys are required.
	Keys Keys
	// Audience: a token has to name one of these in aud. Empty: a token may not have
	// aud at all, since it would be for somebody else.
	Audience []string
	// Issuer is what iss has to be. Empty: it is not looked at.
	Issuer string
	// MaxLifetime is the time between iat and exp at most (24 h). Revocations are kept
	// that long.
	MaxLifetime time.Duration
	// Leeway is how far the clocks of who makes and who checks tokens may differ (30 s;
	// negative: not at all).
	Leeway time.Duration
	// Now is the time; nil: time.Now.
	Now func() time.Time
}

// Verifier checks tokens. Its methods may be called by any goroutine. They use the CPU
// only, about 0.1 ms of it for a signature: do not call them on a loop.
type Verifier struct {
	config   Config // immutable
	encoding *base64.Encoding
}

// NewVerifier returns a Verifier.
func NewVerifier(c Config) (*Verifier, error) {
	if c.Keys == nil {
		return nil, errors.New("auth: no keys: configure a secret, public keys or the URL of a JWKS")
	}
	if c.MaxLifetime < 0 {
		return nil, errors.New("auth: MaxLifetime is negative")
	}
	if c.MaxLifetime == 0 {
		c.MaxLifetime = 24 * time.Hour
	}
	switch {
	case c.Leeway == 0:
		c.Leeway = 30 * time.Second
	case c.Leeway < 0:
		c.Leeway = 0
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{c, base64.RawURLEncoding.Strict()}, nil
}

// MaxLifetime is how long a token can be good after it was issued, with the leeway.
// Keep a revocation that long.
func (v *Verifier) MaxLifetime() time.Duration { return v.config.MaxLifetime + 2*v.config.Leeway }

// Leeway is how far the clock of the one who makes tokens may differ from the Verifier's: how
// long after its time a token still counts.
func (v *Verifier) Leeway() time.Duration { return v.config.Leeway }

// Connection checks a connection token. The error is ErrInvalid, ErrExpired, ErrNotYet
// or ErrUnavailable.
func (v *Verifier) Connection(t Token) (Claims, error) {
	c, err := v.verify(t)
	if err != nil {
		return Claims{}, err
	}
	if c.Topic != "" || c.Rights != 0 {
		return Claims{}, refuse(ReasonPurpose)
	}
	return *c, nil
}

// Refresh checks a connection token that is to prolong a connection, which belongs to
// the user and the session of current.
func (v *Verifier) Refresh(t Token, current Claims) (Claims, error) {
	c, err := v.Connection(t)
	if err != nil {
		return Claims{}, err
	}
	if c.User != current.User || c.Session != current.Session {
		return Claims{}, refuse(ReasonPurpose)
	}
	return c, nil
}

// Topic checks a topic token that is shown for a topic on a connection, which belongs to the
// user and the session of current. A token without a session is for all sessions of its user.
func (v *Verifier) Topic(t Token, current Claims, topic string) (Claims, error) {
	c, err := v.verify(t)
	if err != nil {
		return Claims{}, err
	}
	elsewhere := c.User != current.User || c.Session != "" && c.Session != current.Session
	if c.Topic == "" || c.Topic != topic || elsewhere || c.Grants.Topics != nil || c.Grants.Namespaces != nil {
		return Claims{}, refuse(ReasonPurpose)
	}
	return *c, nil
}

// verify checks all that both kinds have.
func (v *Verifier) verify(t Token) (*Claims, error) {
	compact := t.Reveal()
	switch {
	case compact == "":
		return nil, refuse(ReasonMissing)
	case len(compact) > MaxToken:
		return nil, refuse(ReasonSize)
	case strings.TrimSpace(compact) != compact:
		return nil, refuse(ReasonSpace)
	}
	payload, err := v.open(compact)
	if err != nil {
		return nil, err
	}
	c, err := parse(payload)
	switch {
	case errors.Is(err, names.ErrName):
		return nil, refuseName(err)
	case err != nil:
		return nil, refuse(ReasonClaims)
	}
	switch reason := v.judge(c); reason {
	case "":
		return &c.Claims, nil
	case ReasonNotYet:
		return nil, &refusal{error: ErrNotYet, reason: reason, wait: v.begin(c).Sub(v.config.Now())}
	default:
		return nil, refuse(reason)
	}
}

// begin is when a token is valid for the first time.
func (v *Verifier) begin(c *raw) time.Time {
	begin := c.Issued
	if c.notBefore.After(begin) {
		begin = c.notBefore
	}
	return begin.Add(-v.config.Leeway)
}

// open returns the payload of a token whose signature is good. Nothing of the payload
// is looked at before.
func (v *Verifier) open(compact string) ([]byte, error) {
	end := strings.LastIndexByte(compact, '.')
	if end < 0 || strings.Count(compact, ".") != 2 {
		return nil, refuse(ReasonFormat)
	}
	head, payload, _ := strings.Cut(compact[:end], ".")
	header, errHeader := v.encoding.DecodeString(head)
	signature, errSignature := v.encoding.DecodeString(compact[end+1:])
	// The decoder passes over line ends.
	if errHeader != nil || errSignature != nil || strings.ContainsAny(compact, "\r\n") {
		return nil, refuse(ReasonFormat)
	}
	key, err := v.keyOf(header)
	if err != nil {
		return nil, err
	}
	if !key.verify(compact[:end], signature) {
		return nil, refuse(ReasonSignature)
	}
	claims, err := v.encoding.DecodeString(payload)
	if err != nil {
		return nil, refuse(ReasonFormat)
	}
	return claims, nil
}

// keyOf returns the key that a header asks for.
func (v *Verifier) keyOf(header []byte) (*Key, error) {
	fields, err := object(header)
	if err != nil {
		return nil, refuse(ReasonFormat)
	}
	var algorithm, id string
	for name, value := range fields {
		switch name {
		case "alg":
			algorithm, err = text(value, 16)
		case "kid":
			id, err = text(value, maxKeyID)
		case "typ":
			var typ string
			if typ, err = text(value, 16); !strings.EqualFold(typ, "JWT") && !strings.EqualFold(typ, "at+jwt") {
				return nil, refuse(ReasonHeader) // a token for another purpose, RFC 8725 section 3.11
			}
		case "jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "enc":
			return nil, refuse(ReasonHeader) // keys of the sender's choice, and other ways to read the token
		}
		if err != nil {
			return nil, refuse(ReasonHeader)
		}
	}
	key, ready := v.config.Keys.Get(id)
	switch {
	case key == nil && !ready:
		return nil, refuse(ReasonNoKeys)
	case key == nil:
		return nil, refuse(ReasonKey)
	case key.algorithm != algorithm:
		return nil, refuse(ReasonAlgorithm)
	}
	return key, nil
}

// judge returns why the claims are refused; "" if they are good.
func (v *Verifier) judge(c *raw) Reason {
	now, leeway := v.config.Now(), v.config.Leeway
	names := func(audience string) bool { return slices.Contains(c.audience, audience) }
	switch {
	case len(v.config.Audience) == 0 && c.audience != nil,
		len(v.config.Audience) > 0 && !slices.ContainsFunc(v.config.Audience, names):
		return ReasonAudience
	case v.config.Issuer != "" && c.issuer != v.config.Issuer:
		return ReasonIssuer
	case c.Expires.Sub(c.Issued) > v.config.MaxLifetime:
		return ReasonLifetime
	case !now.Before(c.Expires.Add(leeway)):
		return ReasonExpired
	case now.Before(v.begin(c)):
		return ReasonNotYet
	}
	return ""
}
