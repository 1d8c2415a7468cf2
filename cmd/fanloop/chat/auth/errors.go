package auth

import (
	"errors"
	"fmt"
	"time"
)

// What may be wrong with a token. These are the texts that a peer may get.
var (
	// ErrInvalid: the token is not to be trusted, or not for this service. A client gets
	// another token or gives up; the same token will not do. If a name in the token is
	// against the rules, names.ErrName is wrapped too, and says which.
	ErrInvalid = errors.New("auth: the token is not valid; get another one")
	// ErrExpired: the token was good and its time is over. A client gets a new one.
	ErrExpired = errors.New("auth: the token has expired; get a new one")
	// ErrNotYet: the token is good and its time has not begun. A client tries again after
	// WaitOf.
	ErrNotYet = errors.New("auth: the token is not valid yet; check the clocks and try again")
	// ErrUnavailable: there are no keys yet to check tokens with. A client tries again.
	ErrUnavailable = errors.New("auth: tokens cannot be checked at the moment; try again")
)

// Reason says why a token was refused, as a label for metrics and logs. Do not give
// it to a peer.
type Reason string

// All reasons.
const (
	ReasonMissing   Reason = "missing"   // there is none
	ReasonSize      Reason = "size"      // too long
	ReasonSpace     Reason = "space"     // begins or ends with white space, as the line end of a file
	ReasonFormat    Reason = "format"    // not three parts of base64 and JSON
	ReasonHeader    Reason = "header"    // asks for what is not supported
	ReasonKey       Reason = "key"       // names a key that is not there
	ReasonAlgorithm Reason = "algorithm" // names another algorithm than the key's
	ReasonSignature Reason = "signature"
	ReasonClaims    Reason = "claims" // a claim has a wrong type, is missing or there twice
	ReasonName      Reason = "name"   // the name of a user, a topic or a namespace is against the rules
	ReasonAudience  Reason = "audience"
	ReasonIssuer    Reason = "issuer"
	ReasonLifetime  Reason = "lifetime" // longer than allowed
	ReasonPurpose   Reason = "purpose"  // a topic token to connect, or the reverse, or for another topic or user
	ReasonExpired   Reason = "expired"
	ReasonNotYet    Reason = "not-yet"
	ReasonNoKeys    Reason = "no-keys"
)

// Reasons are all reasons, for labels that are there from the beginning.
func Reasons() []Reason {
	return []Reason{
		ReasonMissing, ReasonSize, ReasonSpace, ReasonFormat, ReasonHeader, ReasonKey, ReasonAlgorithm, ReasonSignature, ReasonClaims,
		ReasonName, ReasonAudience, ReasonIssuer, ReasonLifetime, ReasonPurpose, ReasonExpired, ReasonNotYet, ReasonNoKeys,
	}
}

// refusal is one of the errors above with a reason that its text does not have.
type refusal struct {
	error
	reason Reason
	wait   time.Duration // until the token is valid; 0: it does not help
}

func (r *refusal) Unwrap() error { return r.error }

func refuse(reason Reason) error {
	err := ErrInvalid
	switch reason {
	case ReasonExpired:
		err = ErrExpired
	case ReasonNoKeys:
		err = ErrUnavailable
	}
	return &refusal{error: err, reason: reason}
}

// refuseName says which name is wrong, and how: the token was signed by a backend that
// takes the name for a good one.
func refuseName(err error) error {
	return &refusal{error: fmt.Errorf("%w: %w", ErrInvalid, err), reason: ReasonName}
}

// WaitOf returns after what time a token that was refused with ErrNotYet is valid; 0 for
// other errors.
func WaitOf(err error) time.Duration {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.wait
	}
	return 0
}

// ReasonOf returns the reason of an error of a Verifier; "" if it has none.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return ""
}
