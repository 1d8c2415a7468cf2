package auth_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the time of all tests that do not drive a clock.
var now = time.Unix(1_800_000_000, 0)

const secret = "0123456789abcdef0123456789abcdef"

// pair is a key to sign with and the text of its public half.
type pair struct {
	private any
	public  any
	pem     string
}

// pairs are made once: RSA keys take time.
var pairs = sync.OnceValue(func() map[string]pair {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	all := map[string]pair{"HS": {[]byte(secret), []byte(secret), secret}, "RS": newPair(rsaKey, &rsaKey.PublicKey)}
	all["PS"] = all["RS"]
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		must(err)
		all[name] = newPair(key, &key.PublicKey)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(err)
	all["EdDSA"] = newPair(private, public)
	return all
})

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func newPair(private, public any) pair {
	der, err := x509.MarshalPKIXPublicKey(public)
	must(err)
	return pair{private, public, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

// pairOf is the key of an algorithm.
func pairOf(algorithm string) pair {
	if p, ok := pairs()[algorithm]; ok {
		return p
	}
	return pairs()[algorithm[:2]]
}

type m = map[string]any

// good are claims that every test begins with.
func good(more m) m {
	c := m{"sub": "ann", "jti": "t1", "sid": "s1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()}
	maps.Copy(c, more)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

// sign makes a token of any header and payload.
func sign(algorithm string, header, payload string, key any) string {
	signed := encode(header) + "." + encode(payload)
	signature, err := jwt.GetSigningMethod(algorithm).Sign(signed, key)
	must(err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func toJSON(v any) string {
	b, err := json.Marshal(v)
	must(err)
	return string(b)
}

// token is a good one with these claims, by the secret.
func token(claims m) auth.Token {
	return auth.NewToken(sign("HS256", `{"alg":"HS256","typ":"JWT"}`, toJSON(claims), []byte(secret)))
}

func newKey(t testing.TB, id, algorithm string) *auth.Key {
	t.Helper()
	k, err := auth.NewKey(id, algorithm, pairOf(algorithm).pem)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func static(t testing.TB, keys ...*auth.Key) auth.Static {
	t.Helper()
	s, err := auth.NewStatic(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newVerifier(t testing.TB, c auth.Config) *auth.Verifier {
	t.Helper()
	if c.Keys == nil {
		c.Keys = static(t, newKey(t, "", "HS256"))
	}
	if c.Now == nil {
		c.Now = func() time.Time { return now }
	}
	v, err := auth.NewVerifier(c)
	if err != nil {
		t.Fatal(err)
	}
	return v
}
