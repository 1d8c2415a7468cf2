package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

// Keys that are weak, or of another kind than their algorithm, are refused, and no
// error shows a secret.
func TestKeysThatDoNotFit(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	private, err := x509.MarshalPKCS8PrivateKey(ec)
	must(err)
	for name, tt := range map[string]struct{ algorithm, text string }{
		"short secret":        {"HS256", "hunter2-hunter2-hunter2-hunter2"},
		"no secret":           {"HS256", ""},
		"secret is a PEM":     {"HS256", pairOf("RS256").pem},
		"small RSA":           {"RS256", newPair(small, &small.PublicKey).pem},
		"RSA for EC":          {"ES256", pairOf("RS256").pem},
		"EC for RSA":          {"PS256", pairOf("ES256").pem},
		"other curve":         {"ES384", pairOf("ES256").pem},
		"EC for Ed25519":      {"EdDSA", pairOf("ES256").pem},
		"private key":         {"ES256", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))},
		"none":                {"none", ""},
		"no algorithm":        {"", secret},
		"no PEM":              {"RS256", secret},
		"broken PEM":          {"RS256", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
		"certificate request": {"RS256", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"},
	} {
		k, err := auth.NewKey("k", tt.algorithm, tt.text)
		if err == nil {
			t.Errorf("%s makes %v", name, k)
		} else if tt.text != "" && strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
	if _, err := auth.NewKey(strings.Repeat("k", 129), "HS256", secret); err == nil {
		t.Error("a long id is taken")
	}
	a := newKey(t, "a", "HS256")
	if _, err := auth.NewStatic(a, newKey(t, "a", "RS256")); err == nil {
		t.Error("two keys with one id are taken")
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", a, a, a, a); strings.Contains(shown, secret) || strings.Contains(shown, "0x30") {
		t.Errorf("a key shows itself: %s", shown)
	}
}
