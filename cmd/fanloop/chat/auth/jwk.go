package auth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

// maxKeys is how many keys of a JWKS are taken.
const maxKeys = 100

// parseJWKS reads a JWK Set (RFC 7517 section 5). Keys that cannot check signatures
// here are left out, as section 5 says; skipped counts them. No key at all is an
// error.
func parseJWKS(data []byte) (keys Static, skipped int, err error) {
	fields, err := object(data)
	if err != nil {
		return nil, 0, errors.New("auth: the answer is no JWKS")
	}
	var raws []json.RawMessage
	if json.Unmarshal(fields["keys"], &raws) != nil {
		return nil, 0, errors.New("auth: the answer is no JWKS")
	}
	keys = make(Static)
	for _, raw := range raws {
		key := parseJWK(raw)
		if key == nil || keys[key.id] != nil || len(keys) >= maxKeys {
			skipped++
			continue
		}
		keys[key.id] = key
	}
	if len(keys) == 0 {
		return nil, skipped, errors.New("auth: the JWKS has no key to check signatures with")
	}
	return keys, skipped, nil
}

// jwk are the members of a key that are looked at.
type jwk struct{ kty, use, alg, kid, crv, n, e, x, y string }

// parseJWK returns nil for a key that is not used.
func parseJWK(data []byte) *Key {
	fields, err := object(data)
	if err != nil || fields["d"] != nil || fields["k"] != nil { // private, or a secret
		return nil
	}
	var k jwk
	for name, p := range map[string]*string{
		"kty": &k.kty, "use": &k.use, "alg": &k.alg, "kid": &k.kid, "crv": &k.crv, "n": &k.n, "e": &k.e, "x": &k.x, "y": &k.y,
	} {
		if raw, there := fields[name]; there {
			if *p, err = text(raw, 2<<10); err != nil {
				return nil
			}
		}
	}
	if k.use != "" && k.use != "sig" || !mayVerify(fields["key_ops"]) {
		return nil
	}
	public, algorithm := k.public()
	if k.alg != "" {
		algorithm = k.alg
	}
	key, err := newKey(k.kid, algorithm, public)
	if err != nil {
		return nil
	}
	return key
}

// mayVerify reports whether key_ops allow it, or are not there.
func mayVerify(raw json.RawMessage) bool {
	if raw == nil {
		return true
	}
	ops, err := texts(raw, 16, 32)
	return err == nil && slices.Contains(ops, "verify")
}

// curves have the algorithm that each is for.
var curves = map[string]struct {
	curve     elliptic.Curve
	algorithm string
}{
	"P-256": {elliptic.P256(), "ES256"},
	"P-384": {elliptic.P384(), "ES384"},
	"P-521": {elliptic.P521(), "ES512"},
}

// public returns the key, and the algorithm that it has if the JWKS names none.
func (k *jwk) public() (key any, algorithm string) {
	switch k.kty {
	case "RSA":
		n, e := decode64(k.n), decode64(k.e)
		if len(n) == 0 || len(e) == 0 || len(e) > 4 {
			return nil, ""
		}
		exponent := new(big.Int).SetBytes(e).Int64()
		if exponent > 1<<31-1 {
			return nil, ""
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, "RS256"
	case "EC":
		c, known := curves[k.crv]
		if !known {
			return nil, ""
		}
		size := (c.curve.Params().BitSize + 7) / 8
		x, y := decode64(k.x), decode64(k.y)
		if len(x) != size || len(y) != size {
			return nil, ""
		}
		public, err := ecdsa.ParseUncompressedPublicKey(c.curve, slices.Concat([]byte{4}, x, y))
		if err != nil {
			return nil, ""
		}
		return public, c.algorithm
	case "OKP":
		if x := decode64(k.x); k.crv == "Ed25519" && len(x) == ed25519.PublicKeySize {
			return ed25519.PublicKey(x), "EdDSA"
		}
	}
	return nil, ""
}

func decode64(s string) []byte {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}
