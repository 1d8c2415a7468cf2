package auth

import (
	"encoding/json"
	"time"
	"unicode"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// Limits of what is in a token.
const (
	maxID      = 128
	maxInfo    = 4 << 10
	maxGrants  = 256
	maxAud     = 32
	maxIssuer  = 256
	maxRights  = 32
	maxSession = 128
)

// Claims are what a token says. A topic token has a Topic and Rights; a connection
// token has Grants and Info.
type Claims struct {
	// User is the claim sub: who it is. Never empty.
	User string
	// Name is the claim name, as [names.Display] shows it: what people call the user. It
	// may be empty.
	Name string
	// ID is the claim jti: the token's own name. Empty: it can be revoked by its user
	// or session only.
	ID string
	// Session is the claim sid: the login that the token belongs to, the same in each
	// token that a client gets by refreshing.
	Session string
	// Issued and Expires are iat and exp. Both are always there.
	Issued, Expires time.Time
	// Info is any JSON that others see of the user: a name, a picture.
	Info json.RawMessage

	// Grants are rights besides those that the rules give to everybody.
	Grants rules.Grants

	// Topic is the claim topic, of a topic token only, and Rights are for it.
	Topic  string
	Rights rules.Rights
}

// raw is what the payload says before the times and the purpose are checked.
type raw struct {
	Claims
	notBefore time.Time // zero: none
	audience  []string
	issuer    string
}

// parse reads the payload of a token. Each claim has one type. Claims with other
// names are left alone: backends have their own.
func parse(payload []byte) (*raw, error) {
	fields, err := object(payload)
	if err != nil {
		return nil, err
	}
	c := &raw{}
	for name, value := range fields {
		if err := c.take(name, value); err != nil {
			return nil, err
		}
	}
	if c.User == "" || c.Issued.IsZero() || c.Expires.IsZero() || !c.Issued.Before(c.Expires) {
		return nil, errJSON
	}
	return c, nil
}

// take reads one claim.
func (c *raw) take(name string, value json.RawMessage) (err error) {
	switch name {
	case "sub":
		c.User, err = checked(value, names.CheckUser)
	case "name":
		c.Name, err = text(value, MaxToken)
		c.Name = names.Display(c.Name)
	case "jti":
		c.ID, err = identifier(value, maxID)
	case "sid":
		c.Session, err = identifier(value, maxSession)
	case "iss":
		c.issuer, err = text(value, maxIssuer)
	case "aud":
		c.audience, err = audience(value)
	case "exp":
		c.Expires, err = date(value)
	case "iat":
		c.Issued, err = date(value)
	case "nbf":
		c.notBefore, err = date(value)
	case "info":
		if err := protocol.CheckData(&value, maxInfo); err != nil {
			return errJSON
		}
		c.Info = value
	case "topics":
		c.Grants.Topics, err = grants(value, names.CheckTopic)
	case "namespaces":
		c.Grants.Namespaces, err = grants(value, rules.CheckGranted)
	case "topic":
		c.Topic, err = checked(value, names.CheckTopic)
	case "rights":
		c.Rights, err = rightsOf(value)
	}
	return err
}

// checked reads a name that has to be one.
func checked(value json.RawMessage, check func(string) error) (string, error) {
	name, err := text(value, MaxToken)
	if err != nil {
		return "", err
	}
	return name, check(name)
}

// identifier reads a name that is in keys and logs: not empty, without control
// characters.
func identifier(value json.RawMessage, limit int) (string, error) {
	s, err := text(value, limit)
	if err != nil || s == "" {
		return "", errJSON
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return "", errJSON
		}
	}
	return s, nil
}

// date reads a NumericDate.
func date(value json.RawMessage) (time.Time, error) {
	n, err := seconds(value)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(n, 0), nil
}

// audience reads aud: one name or several (RFC 7519 section 4.1.3).
func audience(value json.RawMessage) ([]string, error) {
	if one, err := text(value, maxIssuer); err == nil {
		return []string{one}, nil
	}
	return texts(value, maxAud, maxIssuer)
}

// grants reads an object of names with lists of rights.
func grants(value json.RawMessage, check func(string) error) (map[string]rules.Rights, error) {
	fields, err := object(value)
	if err != nil || len(fields) > maxGrants {
		return nil, errJSON
	}
	all := make(map[string]rules.Rights, len(fields))
	for name, value := range fields {
		if err := check(name); err != nil {
			return nil, err
		}
		if all[name], err = rightsOf(value); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// rightsOf reads a list of names of rights.
func rightsOf(value json.RawMessage) (set rules.Rights, err error) {
	names, err := texts(value, maxRights, maxRights)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		right, err := rules.ParseRight(name)
		if err != nil {
			return 0, err
		}
		set |= rules.Rights(right)
	}
	return set, nil
}
