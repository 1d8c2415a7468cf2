package revoke

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Kind is what is revoked.
type Kind uint8

const (
	// User: the tokens of a user that were issued up to a time.
	User Kind = 1 + iota
	// Session: all tokens of a session.
	Session
	// Token: one token, by its id.
	Token
	afterLastKind
)

var kindNames = [afterLastKind]string{"", "user", "session", "token"}

// String is the name of the kind.
func (k Kind) String() string {
	if k == 0 || k >= afterLastKind {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kindNames[k]
}

// validName reports whether a name can be that of a user, a session or a token.
func validName(name string) bool {
	return name != "" && len(name) <= MaxName && utf8.ValidString(name)
}

// MaxName is the length of the name of a user, a session or a token at most.
const MaxName = 128

// Errors that are returned as they are or wrapped.
var (
	// ErrRevoked: the token, its session or its user is revoked. The client is not to try
	// again.
	ErrRevoked = errors.New("revoke: the token was revoked; sign in again")
	// ErrTooSoon: the user was revoked, and the token was issued so soon afterwards that it
	// may be an older one of a clock that is ahead. Try again with another; WaitOf says when.
	ErrTooSoon = errors.New("revoke: the token was issued too soon after the user was revoked; wait and get another")
	// ErrRevocation: the revocation is invalid.
	ErrRevocation = errors.New("revoke: want a user, a session or a token by a name of 1 to 128 bytes, and no time in the future")
	// ErrFull: the list has Config.Max revocations.
	ErrFull = errors.New("revoke: the list is full; let tokens live shorter, or raise the limit")
	// ErrUnconfirmed: this node has it, and some other nodes have not said so yet. They
	// are told until they have it.
	ErrUnconfirmed = errors.New("revoke: not all nodes have confirmed it yet; they get it as soon as they can be reached")
	// ErrNotStored: it is in force, and gone if all nodes end.
	ErrNotStored = errors.New("revoke: in force, but not stored")
	// ErrClosed: the list is closed.
	ErrClosed = errors.New("revoke: closed")
)

// tooSoon is ErrTooSoon.
type tooSoon struct{ wait time.Duration }

func (e *tooSoon) Error() string   { return ErrTooSoon.Error() }
func (*tooSoon) Is(err error) bool { return err == ErrTooSoon }

// full is ErrFull.
type full struct{ wait time.Duration }

func (e *full) Error() string   { return ErrFull.Error() }
func (*full) Is(err error) bool { return err == ErrFull }

// WaitOf is how long to wait after ErrTooSoon: a token that is issued then is good; and after
// ErrFull: the first revocation of the list ends then. It is 0 for other errors.
func WaitOf(err error) time.Duration {
	if soon, is := errors.AsType[*tooSoon](err); is {
		return max(0, soon.wait)
	}
	if full, is := errors.AsType[*full](err); is {
		return max(0, full.wait)
	}
	return 0
}

// Revocation says what is not good any more.
type Revocation struct {
	Kind Kind
	Name string
	// Before is for a User: tokens issued at this second or earlier are revoked, and those
	// issued up to Config.Leeway later, since the clock of who makes them may be ahead. Who
	// signs in anew waits for the next second behind that. The zero time is now, by the
	// clock of this node.
	Before time.Time
}

// Identity is what of a token may be revoked.
type Identity struct {
	User    string
	Session string // may be empty
	Token   string // may be empty
	Issued  time.Time
}

// names are the keys that concern an identity.
func (id *Identity) names() [3]place {
	return [3]place{{User, id.User}, {Session, id.Session}, {Token, id.Token}}
}

// place is what a revocation is for.
type place struct {
	kind Kind
	name string
}

// entry is a revocation in the list.
type entry struct {
	place
	before int64     // seconds; for a user
	ends   time.Time // on the monotonic clock of this node
}

// concerns reports whether a token of the place is revoked that was issued at a Unix time.
func (e *entry) concerns(issued int64) bool {
	return e.kind != User || issued <= e.before
}

// revocation is e as others see it.
func (e *entry) revocation() Revocation {
	r := Revocation{Kind: e.kind, Name: e.name}
	if e.kind == User {
		r.Before = time.Unix(e.before, 0)
	}
	return r
}

// sum is the same on all nodes for the same revocation.
func (e *entry) sum() uint64 {
	b := binary.BigEndian.AppendUint64([]byte{byte(e.kind)}, uint64(e.before))
	h := sha256.Sum256(append(b, e.name...))
	return binary.BigEndian.Uint64(h[:])
}

// bucket is the part of the list that a place belongs to.
func (p place) bucket() int {
	h := sha256.Sum256(append([]byte{byte(p.kind)}, p.name...))
	return int(h[0])
}

const buckets = 256
