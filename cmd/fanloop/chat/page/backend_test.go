package page_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/config"
)

func chatToken(user string, secret []byte) (string, error) {
	now := time.Now()
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "iat": now.Unix(), "exp": now.Add(15 * time.Minute).Unix(),
	}).SignedString(secret)
}

// The settings of BACKEND.md are valid, and take the tokens of its code.
func TestBeginOfTheDocument(t *testing.T) {
	document, err := os.ReadFile("../BACKEND.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string) string {
		found := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindSubmatch(document)
		if found == nil {
			t.Fatal("no block of ", kind)
		}
		return string(found[1])
	}
	folder := t.TempDir()
	secret := strings.Repeat("0123456789abcdef", 4)
	for _, name := range []string{"token.secret", "shop.key"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Parse("chat.yaml", []byte(strings.ReplaceAll(block("yaml chat.yaml"), "/etc/fanloop", folder)))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := c.Accounts.StaticKeys()
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := c.Accounts.Verifier(keys)
	if err != nil {
		t.Fatal(err)
	}
	takes := func(language, token string) {
		t.Helper()
		if claims, err := verifier.Connection(auth.NewToken(token)); err != nil || claims.User != "ann" {
			t.Errorf("the token of %s: %+v, %v", language, claims, err)
		}
	}
	own, err := os.ReadFile("backend_test.go")
	if err != nil || !strings.Contains(string(own), block("go token")) {
		t.Error("chatToken is another one in the document", err)
	}
	token, err := chatToken("ann", []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	takes("Go", token)
	program := filepath.Join(folder, "token.mjs")
	text := block("js token") + "process.stdout.write(chatToken(\"ann\", " + quote(secret) + "));"
	if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command(chattest.Program(t, "node"), program).Output()
	if err != nil {
		t.Fatal(err)
	}
	takes("Node", string(output))
}
