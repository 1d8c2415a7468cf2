package auth_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// Each algorithm signs, and is refused for the key of every other.
func TestAlgorithmsArePinned(t *testing.T) {
	for _, algorithm := range auth.Algorithms() {
		v := newVerifier(t, auth.Config{Keys: static(t, newKey(t, "k", algorithm))})
		for _, other := range auth.Algorithms() {
			text := sign(other, fmt.Sprintf(`{"alg":%q,"kid":"k"}`, other), toJSON(good(nil)), pairOf(other).private)
			c, err := v.Connection(auth.NewToken(text))
			switch {
			case other == algorithm && (err != nil || c.User != "ann" || c.ID != "t1" || c.Session != "s1" || !c.Expires.Equal(now.Add(time.Hour))):
				t.Errorf("%s: %+v, %v", algorithm, c, err)
			case other != algorithm && (!errors.Is(err, auth.ErrInvalid) || auth.ReasonOf(err) != auth.ReasonAlgorithm):
				t.Errorf("%s by a key for %s: %v, %s", other, algorithm, err, auth.ReasonOf(err))
			}
		}
	}
}

// X39: whatever is forged gets one error with one text.
func TestForgedTokens(t *testing.T) {
	hs, rs := []byte(secret), pairOf("RS256")
	payload := toJSON(good(nil))
	whole := sign("HS256", `{"alg":"HS256"}`, payload, hs)
	head, rest, _ := strings.Cut(whole, ".")
	body, signature, _ := strings.Cut(rest, ".")
	header := func(h string) string { return sign("HS256", h, payload, hs) }
	claims := func(c string) string { return sign("HS256", `{"alg":"HS256"}`, c, hs) }
	times := func(exp, more string) string {
		return claims(fmt.Sprintf(`{"sub":"ann","iat":%d,"exp":%s%s}`, now.Unix(), exp, more))
	}
	future := fmt.Sprint(now.Add(time.Hour).Unix())
	forged := map[auth.Reason]map[string]string{
		auth.ReasonMissing: {"empty": ""},
		auth.ReasonSpace:   {"line end of a file": whole + "\n", "line end of Windows": whole + "\r\n", "space": " " + whole},
		auth.ReasonSize: {
			"1 MB kid":    header(`{"alg":"HS256","kid":"` + strings.Repeat("k", 1<<20) + `"}`),
			"large claim": claims(toJSON(good(m{"x": strings.Repeat("x", auth.MaxToken)}))),
		},
		auth.ReasonFormat: {
			"one part": "x", "two parts": head + "." + body, "four parts": whole + ".x", "only dots": "..",
			"padding": head + "=." + body + "." + signature, "line end": head + "\n." + body + "." + signature,
			"line end in signature": whole[:len(whole)-4] + "\r\n" + whole[len(whole)-4:], "standard alphabet": head + "." + body + ".+/+/",
			"signature with loose bits": whole[:len(whole)-1] + next(whole[len(whole)-1]),
			"header is no object":       header(`[]`), "header is nothing": header(``), "header twice": header(`{"alg":"HS256"}{"alg":"HS256"}`),
			"alg twice": header(`{"alg":"HS256","alg":"none"}`), "alg twice, escaped": header(`{"alg":"HS256","\u0061lg":"none"}`),
			"header is not UTF-8": header("{\"alg\":\"HS256\",\"x\":\"\xff\"}"),
		},
		auth.ReasonHeader: {
			"jku": header(`{"alg":"HS256","jku":"https://evil/"}`), "x5u": header(`{"alg":"HS256","x5u":"https://evil/"}`),
			"jwk": header(`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`), "x5c": header(`{"alg":"HS256","x5c":[]}`),
			"crit": header(`{"alg":"HS256","crit":["exp"]}`), "b64": header(`{"alg":"HS256","b64":false}`), "zip": header(`{"alg":"HS256","zip":"DEF"}`),
			"typ": header(`{"alg":"HS256","typ":"logout+jwt"}`), "alg is a list": header(`{"alg":["HS256"]}`), "kid is a number": header(`{"alg":"HS256","kid":1}`),
			"kid is too long": header(`{"alg":"HS256","kid":"` + strings.Repeat("k", 129) + `"}`), "kid is null": header(`{"alg":"HS256","kid":null}`),
		},
		auth.ReasonKey: {
			"kid is a path": header(`{"alg":"HS256","kid":"../../dev/null"}`), "kid is SQL": header(`{"alg":"HS256","kid":"' or 1=1"}`),
			"kid of nobody": header(`{"alg":"HS256","kid":"x"}`),
		},
		auth.ReasonAlgorithm: {
			"none": encode(`{"alg":"none"}`) + "." + body + ".", "None": encode(`{"alg":"None"}`) + "." + body + ".", "no alg": header(`{}`),
			"lower case": header(`{"alg":"hs256"}`), "ALG": header(`{"ALG":"HS256"}`), "HS512": sign("HS512", `{"alg":"HS512"}`, payload, hs),
			"secret is the public key": sign("HS256", `{"alg":"HS256","kid":"rsa"}`, payload, []byte(rs.pem)),
		},
		auth.ReasonSignature: {
			"none": head + "." + body + ".", "other secret": sign("HS256", `{"alg":"HS256"}`, payload, []byte(secret+"x")),
			"other payload": head + "." + encode(toJSON(good(m{"sub": "root"}))) + "." + signature,
			"other key":     sign("HS256", `{"alg":"HS256"}`, payload, []byte(rs.pem)), "short": whole[:len(whole)-8],
			"broken claims, not signed": head + "." + encode(`{"sub":`) + "." + signature,
		},
		auth.ReasonClaims: {
			"no exp": claims(toJSON(good(m{"exp": nil}))), "no iat": claims(toJSON(good(m{"iat": nil}))), "no sub": claims(toJSON(good(m{"sub": nil}))),
			"exp is text": times(`"`+future+`"`, ""), "exp is 1e309": times("1e309", ""), "exp is null": times("null", ""), "exp is negative": times("-1", ""),
			"exp is far": times("1e15", ""), "exp is true": times("true", ""), "exp is a list": times("["+future+"]", ""), "exp is NaN": times(`NaN`, ""),
			"exp twice": times(future, `,"exp":`+future), "exp before iat": times("1", ""),
			"nbf is text": times(future, `,"nbf":"1"`), "nbf is null": times(future, `,"nbf":null`), "sub twice": times(future, `,"sub":"root"`),
			"sub is a number":  claims(toJSON(good(m{"sub": 1}))),
			"name is a number": claims(toJSON(good(m{"name": 1}))), "jti is a number": claims(toJSON(good(m{"jti": 1}))), "aud has a number": claims(toJSON(good(m{"aud": []any{1}}))),
			"claims are a list": claims(`[]`), "claims are broken": claims(`{"sub":`), "claims end twice": claims(payload + "}"), "claims are empty": claims(""),
			"unknown right": claims(toJSON(good(m{"topics": m{"a": []string{"root"}}}))), "rights are text": claims(toJSON(good(m{"topics": m{"a": "publish"}}))),
			"rights twice": claims(strings.Replace(payload, "{", `{"topics":{"a":[],"a":["publish"]},`, 1)), "info is large": claims(toJSON(good(m{"info": strings.Repeat("i", 4096)}))),
			"a name twice in info": claims(strings.Replace(payload, "{", `{"info":{"a":[{"b":1,"b":2}]},`, 1)), "half a surrogate in info": claims(strings.Replace(payload, "{", `{"info":"\ud800",`, 1)),
			"info is deep": claims(strings.Replace(payload, "{", `{"info":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,`, 1)),
		},
		auth.ReasonAudience: {"aud of others": claims(toJSON(good(m{"aud": "shop"}))), "empty aud": claims(toJSON(good(m{"aud": []string{}})))},
		auth.ReasonLifetime: {"a year": claims(toJSON(good(m{"exp": now.AddDate(1, 0, 0).Unix()})))},
		auth.ReasonPurpose:  {"topic token": claims(toJSON(good(m{"topic": "a", "rights": []string{"subscribe"}})))},
	}
	v := newVerifier(t, auth.Config{Keys: static(t, newKey(t, "", "HS256"), newKey(t, "rsa", "RS256"))})
	for reason, tokens := range forged {
		for name, text := range tokens {
			_, err := v.Connection(auth.NewToken(text))
			if !errors.Is(err, auth.ErrInvalid) || err.Error() != auth.ErrInvalid.Error() || auth.ReasonOf(err) != reason {
				t.Errorf("%s: %v for %q; want %q", name, err, auth.ReasonOf(err), reason)
			}
		}
	}
	if _, err := v.Connection(auth.NewToken(whole)); err != nil {
		t.Fatal("the token that all others are made of:", err)
	}
}

// A company's own tokens with a name that is refused say which name, and what is wrong: the
// user of such a token gets in with none. In a forged one nothing is looked at.
func TestNamesInTokens(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	for what, one := range map[string]struct {
		claims m
		says   string
	}{
		"empty": {m{"sub": ""}, "the user is empty"}, "long": {m{"sub": strings.Repeat("u", 129)}, "the user is longer"},
		"line end": {m{"sub": "a\nb"}, "the user has a control"}, "half a letter": {m{"sub": json.RawMessage(`"\ud800"`)}, "the user has a code point"},
		"not normal": {m{"sub": "cafe\u0301"}, "the user is not in Unicode normal form"}, "bidi": {m{"sub": "a\u202eb"}, "the user has an invisible"},
		"filler": {m{"sub": "\u3164"}, "the user has a filler"}, "topic": {m{"topics": m{"a\x00": []string{"publish"}}}, "the topic has a control"},
		"namespace":              {m{"namespaces": m{"A": []string{"publish"}}}, "the namespace is not 1 to 64 of a-z"},
		"a topic as a namespace": {m{"namespaces": m{"team:x": []string{"publish"}}}, "the namespace is not 1 to 64 of a-z"},
	} {
		_, err := v.Connection(token(good(one.claims)))
		if !errors.Is(err, auth.ErrInvalid) || !errors.Is(err, names.ErrName) || !strings.Contains(err.Error(), one.says) || auth.ReasonOf(err) != auth.ReasonName {
			t.Errorf("%s: %v, %q", what, err, auth.ReasonOf(err))
		}
		forged := sign("HS256", `{"alg":"HS256"}`, toJSON(good(one.claims)), []byte(secret+"x"))
		if _, err := v.Connection(auth.NewToken(forged)); err == nil || err.Error() != auth.ErrInvalid.Error() {
			t.Errorf("%s, forged: %v", what, err)
		}
	}
	_, err := v.Topic(token(good(m{"topic": "a\u200b", "rights": []string{"subscribe"}})), auth.Claims{User: "ann"}, "a")
	if !errors.Is(err, names.ErrName) || !strings.Contains(err.Error(), "the topic has an invisible") {
		t.Error(err)
	}
	for name, want := range map[string]string{
		"Ann\u202e": "Ann", "\u3164\u2800": "", " A\x00nn\n": "Ann", "": "", strings.Repeat("é", 100): strings.Repeat("é", 64), "cafe\u0301": "caf\u00e9",
	} {
		if c, err := v.Connection(token(good(m{"name": name}))); err != nil || c.Name != want {
			t.Errorf("%q: %q, %v", name, c.Name, err)
		}
	}
}

// Whose token is not valid yet learns when it is.
func TestWaitForATokenThatIsNotValidYet(t *testing.T) {
	v := newVerifier(t, auth.Config{Leeway: 10 * time.Second})
	for _, claims := range []m{{"nbf": now.Add(time.Minute).Unix()}, {"iat": now.Add(time.Minute).Unix()}, {"iat": now.Add(time.Minute).Unix(), "nbf": 1}} {
		_, err := v.Connection(token(good(claims)))
		if wait := auth.WaitOf(err); !errors.Is(err, auth.ErrNotYet) || wait != 50*time.Second {
			t.Errorf("%v: %v, %v", claims, err, wait)
		}
	}
	if _, err := v.Connection(token(good(m{"sub": 1}))); auth.WaitOf(err) != 0 {
		t.Error(auth.WaitOf(err))
	}
}

// next is another last letter of the same bytes: the bits that do not count differ.
func next(c byte) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(alphabet[strings.IndexByte(alphabet, c)+1])
}

// The times of a token, with and without leeway, at the second where they change.
func TestTimes(t *testing.T) {
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	const leeway = 10 * time.Second
	for _, tt := range []struct {
		name   string
		claims m
		want   error
	}{
		{"good", m{}, nil},
		{"ends now", m{"iat": at(-time.Hour), "exp": at(0)}, nil},
		{"ended at the leeway", m{"iat": at(-time.Hour), "exp": at(-leeway)}, auth.ErrExpired},
		{"ended just within", m{"iat": at(-time.Hour), "exp": at(-leeway + time.Second)}, nil},
		{"issued at the leeway", m{"iat": at(leeway)}, nil},
		{"issued behind it", m{"iat": at(leeway + time.Second)}, auth.ErrNotYet},
		{"begins at the leeway", m{"nbf": at(leeway)}, nil},
		{"begins behind it", m{"nbf": at(leeway + time.Second)}, auth.ErrNotYet},
		{"as long as may be", m{"exp": at(24 * time.Hour)}, nil},
		{"longer", m{"exp": at(24*time.Hour + time.Second)}, auth.ErrInvalid},
		{"longer, though it ends soon", m{"iat": at(-240 * time.Hour), "exp": at(time.Hour)}, auth.ErrInvalid},
		{"a fraction is cut", m{"iat": at(-time.Hour), "exp": float64(at(-leeway)) + 0.9}, auth.ErrExpired},
		{"an exponent is a number", m{"exp": json.RawMessage("1.8000001e9")}, nil},
	} {
		_, err := newVerifier(t, auth.Config{Leeway: leeway}).Connection(token(good(tt.claims)))
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	v := newVerifier(t, auth.Config{Leeway: -1})
	if _, err := v.Connection(token(good(m{"iat": at(-time.Hour), "exp": at(0)}))); !errors.Is(err, auth.ErrExpired) {
		t.Error("without leeway:", err)
	}
}

// A forged token is not said to have expired: its times are not looked at.
func TestForgedAndExpired(t *testing.T) {
	text := sign("HS256", `{"alg":"HS256"}`, toJSON(good(m{"iat": 1, "exp": 2})), []byte(secret+"x"))
	if _, err := newVerifier(t, auth.Config{}).Connection(auth.NewToken(text)); !errors.Is(err, auth.ErrInvalid) {
		t.Error(err)
	}
}

func TestAudienceAndIssuer(t *testing.T) {
	config := auth.Config{Audience: []string{"chat", "chat2"}, Issuer: "https://id.example"}
	for _, tt := range []struct {
		aud, iss any
		want     auth.Reason
	}{
		{"chat", config.Issuer, ""},
		{[]string{"shop", "chat2"}, config.Issuer, ""},
		{[]string{"shop"}, config.Issuer, auth.ReasonAudience},
		{"Chat", config.Issuer, auth.ReasonAudience},
		{[]string{}, config.Issuer, auth.ReasonAudience},
		{nil, config.Issuer, auth.ReasonAudience},
		{"chat", "https://id.example/", auth.ReasonIssuer},
		{"chat", nil, auth.ReasonIssuer},
	} {
		_, err := newVerifier(t, config).Connection(token(good(m{"aud": tt.aud, "iss": tt.iss})))
		if auth.ReasonOf(err) != tt.want || (err == nil) != (tt.want == "") {
			t.Errorf("%v, %v: %v for %q", tt.aud, tt.iss, err, auth.ReasonOf(err))
		}
	}
}

func TestGrants(t *testing.T) {
	c, err := newVerifier(t, auth.Config{}).Connection(token(good(m{
		"topics":     m{"lobby": []string{"moderate", "publish"}},
		"namespaces": m{"team": []string{"subscribe"}, "": []string{"history"}},
		"name":       "Ann Example",
		"info":       m{"name": "Ann"},
		"roles":      []string{"of the backend"},
	})))
	if err != nil {
		t.Fatal(err)
	}
	for topic, want := range map[string]rules.Rights{
		"lobby": rules.RightsOf(rules.Moderate, rules.Publish, rules.History), "team:x": rules.RightsOf(rules.Subscribe), "x": rules.RightsOf(rules.History),
	} {
		if got := c.Grants.In(topic); got != want {
			t.Errorf("%s: %v, want %v", topic, got, want)
		}
	}
	if string(c.Info) != `{"name":"Ann"}` || c.Name != "Ann Example" {
		t.Errorf("info %s", c.Info)
	}
}

// A topic token is for one user in one topic, and for one session if it names one. A
// connection token is none.
func TestTopicTokens(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	lobby := m{"topic": "lobby", "rights": []string{"subscribe", "publish"}}
	ann := auth.Claims{User: "ann", Session: "s1"}
	of := func(session any) auth.Token { return token(good(m{"topic": "lobby", "sid": session})) }
	c, err := v.Topic(token(good(lobby)), ann, "lobby")
	if err != nil || c.Rights != rules.RightsOf(rules.Subscribe, rules.Publish) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, current := range []auth.Claims{ann, {User: "ann"}} {
		if _, err := v.Topic(of(nil), current, "lobby"); err != nil {
			t.Errorf("of no session, in %q: %v", current.Session, err)
		}
	}
	for name, err := range map[string]error{
		"other session":      second(v.Topic(of("s2"), ann, "lobby")),
		"a session, in none": second(v.Topic(of("s1"), auth.Claims{User: "ann"}, "lobby")),
		"other user":         second(v.Topic(token(good(lobby)), auth.Claims{User: "ben", Session: "s1"}, "lobby")),
		"other topic":        second(v.Topic(token(good(lobby)), ann, "Lobby")),
		"connection token":   second(v.Topic(token(good(nil)), ann, "")),
		"both":               second(v.Topic(token(good(m{"topic": "lobby", "topics": m{}})), ann, "lobby")),
	} {
		if auth.ReasonOf(err) != auth.ReasonPurpose {
			t.Errorf("%s: %v, %s", name, err, auth.ReasonOf(err))
		}
	}
}

// Who refreshes stays who he is.
func TestRefresh(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	current := auth.Claims{User: "ann", Session: "s1"}
	if c, err := v.Refresh(token(good(m{"jti": "t2"})), current); err != nil || c.ID != "t2" || !c.Expires.Equal(now.Add(time.Hour)) || v.Leeway() != 30*time.Second {
		t.Errorf("%+v, %v", c, err)
	}
	for _, claims := range []m{{"sub": "ben"}, {"sid": "s2"}, {"sid": nil}} {
		if _, err := v.Refresh(token(good(claims)), current); auth.ReasonOf(err) != auth.ReasonPurpose {
			t.Errorf("%v: %v", claims, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// Headers that say nothing of importance are left alone.
func TestHarmlessHeaders(t *testing.T) {
	v := newVerifier(t, auth.Config{})
	for _, h := range []string{`{"alg":"HS256","typ":"at+jwt"}`, `{"alg":"HS256","typ":"jwt","x5t":"abc"}`, `{"alg":"HS256","kid":""}`} {
		if _, err := v.Connection(auth.NewToken(sign("HS256", h, toJSON(good(nil)), []byte(secret)))); err != nil {
			t.Errorf("%s: %v", h, err)
		}
	}
}

// No bytes make a check panic, and what is accepted was signed.
func FuzzConnection(f *testing.F) {
	whole := token(good(m{"topics": m{"a": []string{"publish"}}, "aud": []string{"chat"}})).Reveal()
	f.Add(whole, "", "")
	f.Add("", `{"alg":"HS256","kid":"k","typ":"JWT"}`, toJSON(good(nil)))
	f.Add("", `{"alg":"none","crit":["exp"],"jku":"x"}`, `{"sub":"ann","exp":1e309,"iat":"1","nbf":null,"aud":[1]}`)
	f.Add("", `{"alg":"HS256"}`, `{"sub":"\ud800","iat":1799999999.5,"exp":1800000001,"info":{"a":[[[]]]},"namespaces":{"":["history"]}}`)
	f.Add("..", "{}", "[]")
	v := newVerifier(f, auth.Config{Audience: []string{"chat"}})
	f.Fuzz(func(t *testing.T, text, header, payload string) {
		check := func(text string) {
			c, err := v.Connection(auth.NewToken(text))
			if (err == nil) != (auth.ReasonOf(err) == "") {
				t.Fatalf("%v without a reason", err)
			}
			if err == nil && (c.User == "" || !c.Expires.After(now.Add(-time.Minute)) || c.Expires.Sub(c.Issued) > 24*time.Hour) {
				t.Fatalf("%+v is accepted", c)
			}
		}
		if text != whole {
			if _, err := v.Connection(auth.NewToken(text)); err == nil && !signedBySecret(text) {
				t.Fatalf("%q is accepted", text)
			}
		}
		check(sign("HS256", header, payload, []byte(secret)))
	})
}

// signedBySecret checks the signature alone, in another way.
func signedBySecret(text string) bool {
	end := strings.LastIndexByte(text, '.')
	head, payload, _ := strings.Cut(text[:end], ".")
	h, err1 := base64.RawURLEncoding.DecodeString(head)
	p, err2 := base64.RawURLEncoding.DecodeString(payload)
	return err1 == nil && err2 == nil && sign("HS256", string(h), string(p), []byte(secret)) == text
}
