package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Limits of keys.
const (
	maxKeyID   = 128
	minSecret  = 32
	maxSecret  = 1024
	minModulus = 2048
	maxModulus = 8192
)

// Key is a key with the one algorithm that it is for.
type Key struct {
	id        string
	algorithm string
	method    jwt.SigningMethod
	key       any
}

// ID is what a token's kid has to be; "" is the key of tokens without one.
func (k *Key) ID() string { return k.id }

// Algorithm is what a token's alg has to be.
func (k *Key) Algorithm() string { return k.algorithm }

// String names the key and does not show it.
func (k *Key) String() string { return fmt.Sprintf("%s key %q", k.algorithm, k.id) }

// GoString is the same.
func (k *Key) GoString() string { return k.String() }

// verify reports whether the signature of signed is by this key.
func (k *Key) verify(signed string, signature []byte) bool {
	return k.method.Verify(signed, signature, k.key) == nil
}

// Algorithms are all that a key may have.
func Algorithms() []string {
	return []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// NewKey makes a key of text: a secret for HS256, HS384 and HS512, otherwise a public
// key or a certificate as PEM. A secret has at least 32 bytes, and a PEM is none: a
// public key that is configured as a secret would let everybody sign.
func NewKey(id, algorithm, text string) (*Key, error) {
	if strings.HasPrefix(algorithm, "HS") {
		if strings.Contains(text, "-----BEGIN") {
			return nil, fmt.Errorf("auth: the secret of key %.80q is a PEM; choose the algorithm of that key", id)
		}
		return newKey(id, algorithm, []byte(text))
	}
	public, err := parsePublic([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("auth: key %.80q: %w", id, err)
	}
	return newKey(id, algorithm, public)
}

// parsePublic reads the first PEM block.
func parsePublic(text []byte) (any, error) {
	block, _ := pem.Decode(text)
	switch {
	case block == nil:
		return nil, errors.New("want a public key as PEM")
	case block.Type == "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, errors.New("this is a private key; keep it where tokens are made, and give the public one")
	}
	return nil, fmt.Errorf("a PEM of type %.40q is no public key", block.Type)
}

// newKey checks that key is of the kind and size that algorithm takes.
func newKey(id, algorithm string, key any) (*Key, error) {
	if len(id) > maxKeyID {
		return nil, fmt.Errorf("auth: the id of a key has at most %d bytes", maxKeyID)
	}
	method := jwt.GetSigningMethod(algorithm)
	var fits bool
	var want string
	switch m := method.(type) {
	case *jwt.SigningMethodHMAC:
		secret, ok := key.([]byte)
		fits = ok && len(secret) >= minSecret && len(secret) <= maxSecret
		want = fmt.Sprintf("a secret of %d to %d bytes", minSecret, maxSecret)
		if ok {
			want += fmt.Sprintf(", and not one of %d", len(secret))
		}
	case *jwt.SigningMethodRSA, *jwt.SigningMethodRSAPSS:
		fits, want = fitsRSA(key), fmt.Sprintf("a public key of RSA with %d to %d bits", minModulus, maxModulus)
	case *jwt.SigningMethodECDSA:
		public, ok := key.(*ecdsa.PublicKey)
		fits = ok && public.Curve != nil && public.Curve.Params().BitSize == m.CurveBits
		want = fmt.Sprintf("a public key of the curve P-%d", m.CurveBits)
	case *jwt.SigningMethodEd25519:
		public, ok := key.(ed25519.PublicKey)
		fits = ok && len(public) == ed25519.PublicKeySize
		want = "a public key of Ed25519"
	default:
		return nil, fmt.Errorf("auth: algorithm %.20q of key %.80q: want one of %s", algorithm, id, strings.Join(Algorithms(), ", "))
	}
	if !fits {
		return nil, fmt.Errorf("auth: key %.80q does not fit %s: want %s", id, algorithm, want)
	}
	return &Key{id, algorithm, method, key}, nil
}

func fitsRSA(key any) bool {
	public, ok := key.(*rsa.PublicKey)
	return ok && public.N.BitLen() >= minModulus && public.N.BitLen() <= maxModulus && public.E >= 3 && public.E&1 == 1
}

// Keys are looked up by id. Get is called for each token, by any goroutine, and does
// not wait.
type Keys interface {
	// Get returns nil if there is no such key. ready is false while no keys were ever
	// had.
	Get(id string) (key *Key, ready bool)
}

// Static are keys that do not change.
type Static map[string]*Key

// NewStatic returns keys by their ids. Two may not have the same.
func NewStatic(keys ...*Key) (Static, error) {
	all := make(Static, len(keys))
	for _, k := range keys {
		if all[k.id] != nil {
			return nil, fmt.Errorf("auth: two keys have the id %.80q", k.id)
		}
		all[k.id] = k
	}
	return all, nil
}

// Get implements Keys.
func (s Static) Get(id string) (*Key, bool) { return s[id], true }

// Several looks a key up in one after the other: configured ones, then a JWKS.
type Several []Keys

// Get implements Keys.
func (s Several) Get(id string) (*Key, bool) {
	ready := true
	for _, keys := range s {
		key, ok := keys.Get(id)
		if key != nil {
			return key, true
		}
		ready = ready && ok
	}
	return nil, ready
}
