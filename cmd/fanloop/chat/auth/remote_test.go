package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/loop"
)

// issuer is the other end of a JWKS.
type issuer struct {
	mu      sync.Mutex
	status  int
	body    string
	header  http.Header
	fetches []time.Time
}

func (i *issuer) set(status int, body string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status, i.body = status, body
}

func (i *issuer) times() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]time.Time(nil), i.fetches...)
}

// RoundTrip implements http.RoundTripper. Status 0 never answers, a negative one panics.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches = append(i.fetches, time.Now())
	status, body, header := i.status, i.body, i.header
	i.mu.Unlock()
	if status < 0 {
		panic("a fault of the program")
	}
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
}

// jwkOf is the JWK of a public key.
func jwkOf(kid string, public any, more m) m {
	k := m{}
	if kid != "" {
		k["kid"] = kid
	}
	switch p := public.(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", encode(string(p.N.Bytes())), encode(string(big.NewInt(int64(p.E)).Bytes()))
	case *ecdsa.PublicKey:
		point, err := p.Bytes()
		must(err)
		half := len(point) / 2
		k["kty"], k["crv"], k["x"], k["y"] = "EC", p.Params().Name, encode(string(point[1:1+half])), encode(string(point[1+half:]))
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", encode(string(p))
	}
	for name, v := range more {
		k[name] = v
	}
	return k
}

func jwks(keys ...m) string { return toJSON(m{"keys": keys}) }

// by is a token that the EC key has signed under a kid, good for long.
func by(kid string) auth.Token {
	claims := m{"sub": "ann", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	return auth.NewToken(sign("ES256", fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), toJSON(claims), pairOf("ES256").private))
}

// bench is a verifier with a JWKS, on a driven clock.
func newRemote(t *testing.T, i *issuer, more auth.RemoteConfig) (*auth.Remote, *auth.Verifier) {
	t.Helper()
	more.URL, more.Transport = "https://id.example/jwks.json", i
	r, err := auth.NewRemote(more)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r, newVerifier(t, auth.Config{Keys: r, Now: time.Now})
}

// A fetch that panics, as by what is answered, is one that failed.
func TestFetchThatPanicsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{status: -1}
		var failures []error
		r, _ := newRemote(t, i, auth.RemoteConfig{Alarm: func(_ auth.Health, err error) { failures = append(failures, err) }})
		synctest.Wait()
		i.set(200, jwks(jwkOf("a", pairOf("ES256").public, nil)))
		if err := r.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(failures) != 2 || failures[1] != nil {
			t.Fatalf("%v", failures)
		}
		if end, is := errors.AsType[*loop.PanicError](failures[0]); !is || end.Value != "a fault of the program" {
			t.Errorf("%v", failures[0])
		}
	})
}

// X39: ten thousand tokens with random kids cause a fetch each 30 s, evict nothing,
// and wait for nothing.
func TestRandomKids(t *testing.T) {
	ecPublic := pairOf("ES256").public
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{status: 200, body: jwks(jwkOf("a", ecPublic, nil))}
		r, v := newRemote(t, i, auth.RemoteConfig{})
		if err := r.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for n := range 10_000 {
			forged := auth.NewToken(encode(fmt.Sprintf(`{"alg":"ES256","kid":"%d"}`, n)) + ".e30.AA")
			before := time.Now()
			if _, err := v.Connection(forged); auth.ReasonOf(err) != auth.ReasonKey || !errors.Is(err, auth.ErrInvalid) {
				t.Fatal(err)
			}
			if time.Now() != before {
				t.Fatal("it waited")
			}
			if n%100 == 0 {
				time.Sleep(3 * time.Second)
				if _, err := v.Connection(by("a")); err != nil {
					t.Fatal("a good token:", err)
				}
			}
		}
		times := i.times()
		if most := int(time.Since(began)/(30*time.Second)) + 2; len(times) > most || len(times) < 5 {
			t.Errorf("%d fetches in %v", len(times), time.Since(began))
		}
		for n := 1; n < len(times); n++ {
			if d := times[n].Sub(times[n-1]); d < 30*time.Second {
				t.Errorf("two fetches within %v", d)
			}
		}
	})
}

// X39: a new key is taken within 30 s of its first token, the old one stays as long as
// the JWKS has it, and no longer.
func TestRotationWithOverlap(t *testing.T) {
	ecPublic := pairOf("ES256").public
	synctest.Test(t, func(t *testing.T) {
		a, b := jwkOf("a", ecPublic, nil), jwkOf("b", ecPublic, nil)
		i := &issuer{status: 200, body: jwks(a)}
		r, v := newRemote(t, i, auth.RemoteConfig{})
		if err := r.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		i.set(200, jwks(a, b))
		if _, err := v.Connection(by("b")); !errors.Is(err, auth.ErrInvalid) {
			t.Error("not fetched yet:", err)
		}
		time.Sleep(30 * time.Second)
		synctest.Wait()
		for _, kid := range []string{"a", "b"} {
			if _, err := v.Connection(by(kid)); err != nil {
				t.Errorf("%s in the overlap: %v", kid, err)
			}
		}
		i.set(200, jwks(b))
		time.Sleep(6 * time.Minute)
		synctest.Wait()
		if _, err := v.Connection(by("a")); auth.ReasonOf(err) != auth.ReasonKey {
			t.Error("a was taken out:", err)
		}
		if _, err := v.Connection(by("b")); err != nil {
			t.Error(err)
		}
	})
}

// X39: while the JWKS is down, or answers nonsense, its keys stay in use and each
// failure is an alarm; after MaxStale they are not used any more.
func TestOutage(t *testing.T) {
	ecPublic := pairOf("ES256").public
	good := jwks(jwkOf("a", ecPublic, nil))
	for name, outage := range map[string]struct {
		status int
		body   string
	}{
		"hangs": {0, ""}, "500": {500, good}, "404": {404, good}, "redirect": {302, good}, "no content": {204, ""},
		"HTML": {200, "<html>"}, "no keys": {200, `{"keys":[]}`}, "keys of other kinds": {200, jwks(m{"kty": "oct", "k": "AA"})},
		"large": {200, good + strings.Repeat(" ", 256<<10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var alarms, recoveries int
				i := &issuer{status: 200, body: good, header: http.Header{"Location": {"http://169.254.169.254/"}}}
				r, v := newRemote(t, i, auth.RemoteConfig{MaxStale: time.Hour, Alarm: func(h auth.Health, err error) {
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						recoveries++
					} else {
						alarms++
					}
				}})
				if err := r.Wait(context.Background()); err != nil {
					t.Fatal(err)
				}
				i.set(outage.status, outage.body)
				fetched := len(i.times())
				time.Sleep(16 * time.Minute)
				if _, err := v.Connection(by("a")); err != nil {
					t.Error("in the outage:", err)
				}
				if h := r.Health(); h.Keys != 1 || h.Failures < 5 || h.Failures > len(i.times())-fetched {
					t.Errorf("%+v, %d fetches", h, len(i.times())-fetched)
				}
				i.set(200, good)
				time.Sleep(time.Minute)
				synctest.Wait()
				mu.Lock()
				if alarms < 5 || recoveries != 1 {
					t.Errorf("%d alarms, %d recoveries", alarms, recoveries)
				}
				mu.Unlock()
				i.set(outage.status, outage.body)
				time.Sleep(65 * time.Minute)
				if _, err := v.Connection(by("a")); !errors.Is(err, auth.ErrUnavailable) {
					t.Error("after MaxStale:", err)
				}
				i.set(200, good)
				time.Sleep(2 * time.Minute)
				if _, err := v.Connection(by("a")); err != nil {
					t.Error("back again:", err)
				}
			})
		})
	}
}

// Until the first keys are there, tokens cannot be checked, and the client may try
// again.
func TestNoKeysYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		r, v := newRemote(t, i, auth.RemoteConfig{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := r.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if _, err := v.Connection(by("a")); !errors.Is(err, auth.ErrUnavailable) {
			t.Error(err)
		}
		both := auth.Several{static(t, newKey(t, "own", "ES256")), r}
		v = newVerifier(t, auth.Config{Keys: both, Now: time.Now})
		if _, err := v.Connection(by("own")); err != nil {
			t.Error("a configured key beside a JWKS:", err)
		}
		if _, err := v.Connection(by("a")); !errors.Is(err, auth.ErrUnavailable) {
			t.Error(err)
		}
	})
}

// Every kind of key is read from a JWKS with its algorithm, and what is not for
// signatures, broken, ambiguous or private is not.
func TestKeysOfAJWKS(t *testing.T) {
	rs, ec, ed := pairOf("RS256").public, pairOf("ES256").public, pairOf("EdDSA").public
	cut := func(k m, name string) m { k[name] = k[name].(string)[4:]; return k }
	private := jwkOf("private", ec, m{"d": "AAAA"})
	body := jwks(
		jwkOf("rs", rs, m{"use": "sig", "x5c": []string{"ignored"}}), jwkOf("ps", rs, m{"alg": "PS512"}), jwkOf("ec", ec, m{"key_ops": []string{"verify"}}),
		jwkOf("es384", pairOf("ES384").public, nil), jwkOf("es512", pairOf("ES512").public, nil), jwkOf("ed", ed, nil), jwkOf("", ed, nil),
		// From here on: skipped.
		jwkOf("enc", rs, m{"use": "enc"}), jwkOf("ops", ec, m{"key_ops": []string{"sign"}}), private, m{"kty": "oct", "kid": "oct", "k": encode(secret), "alg": "HS256"},
		jwkOf("confused", rs, m{"alg": "HS256"}), jwkOf("none", rs, m{"alg": "none"}), jwkOf("other curve", ec, m{"alg": "ES384"}),
		cut(jwkOf("off the curve", ec, nil), "x"), cut(jwkOf("short", ed, nil), "x"), jwkOf("even", rs, m{"e": encode("\x02")}), jwkOf("huge e", rs, m{"e": encode("\xff\xff\xff\xff\xff")}),
		jwkOf("rs", ec, nil), jwkOf(strings.Repeat("k", 129), ec, nil), m{"kty": "new"}, m{"kty": 1}, jwkOf("kid is a number", ec, m{"kid": 1}),
	)
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRemote(t, &issuer{status: 200, body: body}, auth.RemoteConfig{})
		if err := r.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"rs": "RS256", "ps": "PS512", "ec": "ES256", "es384": "ES384", "es512": "ES512", "ed": "EdDSA", "": "EdDSA"}
		if h := r.Health(); h.Keys != len(want) || h.Skipped != 16 {
			t.Errorf("%+v", h)
		}
		for id, algorithm := range want {
			if k, _ := r.Get(id); k == nil || k.Algorithm() != algorithm {
				t.Errorf("%q: %v, want %s", id, k, algorithm)
			}
		}
	})
}

// Keys come over TLS or from this machine.
func TestURLsOfAJWKS(t *testing.T) {
	for _, url := range []string{
		"", "/jwks", "http://id.example/jwks", "http://10.0.0.1/", "ftp://id.example/", "https://user:password@id.example/", "http://localhost.evil.example/", "https://", "file:///etc/passwd",
	} {
		if _, err := auth.NewRemote(auth.RemoteConfig{URL: url}); err == nil {
			t.Errorf("%q is taken", url)
		} else if strings.Contains(err.Error(), "password@") {
			t.Errorf("a password is shown: %v", err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		for _, url := range []string{"https://id.example/", "http://127.0.0.1:8000/", "http://[::1]/", "http://localhost/"} {
			r, err := auth.NewRemote(auth.RemoteConfig{URL: url, Transport: &issuer{status: 500}})
			if err != nil {
				t.Errorf("%q: %v", url, err)
				continue
			}
			r.Close()
		}
	})
}

// A redirect is not followed: the place that it names is never asked.
func TestRedirectsAreNotFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{status: 302, header: http.Header{"Location": {"https://169.254.169.254/"}}}
		r, _ := newRemote(t, i, auth.RemoteConfig{})
		time.Sleep(time.Second)
		if n := len(i.times()); n != 1 || r.Health().Failures != 1 {
			t.Errorf("%d requests, %+v", n, r.Health())
		}
	})
}
