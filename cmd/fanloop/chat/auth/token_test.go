package auth_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

// X50: a token does not show itself, by any verb, in any log, inside any value.
func TestTokensDoNotShowThemselves(t *testing.T) {
	const text = "eyJhbGciOiJIUzI1NiJ9.SECRET.SECRET"
	secret := auth.NewToken(text)
	type request struct {
		Token  auth.Token
		hidden auth.Token
		list   []auth.Token
		any    any
		named  map[string]auth.Token
	}
	holder := request{secret, secret, []auth.Token{secret}, secret, map[string]auth.Token{"a": secret}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%p"} {
		fmt.Fprintf(&out, verb+"\n", secret)
		fmt.Fprintf(&out, verb+"\n", &secret)
		fmt.Fprintf(&out, verb+"\n", holder)
		fmt.Fprintf(&out, verb+"\n", &holder)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("connect", "token", secret, "pointer", &secret, "request", holder, "pointer", &holder)
	}
	for _, v := range []any{secret, &secret, holder} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(b)
	}
	fmt.Fprintln(&out, errors.Join(fmt.Errorf("%w: %v", auth.ErrInvalid, secret)))
	shown := out.String()
	for _, part := range []string{"SECRET", "eyJ", fmt.Sprintf("%x", "SECRET"), fmt.Sprintf("%X", "SECRET")} {
		if strings.Contains(shown, part) {
			t.Errorf("%s is in:\n%s", part, shown)
		}
	}
	if secret.Reveal() != text || (auth.Token{}).Reveal() != "" {
		t.Error("the token is lost")
	}
	var read struct{ Token auth.Token }
	if err := json.Unmarshal([]byte(`{"Token":"`+text+`"}`), &read); err != nil || read.Token.Reveal() != text {
		t.Error("not read:", err)
	}
}
