package auth_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

// Your backend makes a token, and the service checks it.
func Example() {
	shared := "a secret of at least 32 random bytes"
	claims := jwt.MapClaims{
		"sub":    "ann",
		"jti":    "login-17-1",
		"iat":    time.Now().Unix(),
		"exp":    time.Now().Add(15 * time.Minute).Unix(),
		"info":   map[string]string{"name": "Ann"},
		"topics": map[string][]string{"lobby": {"moderate"}},
	}
	signed, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(shared))
	if err != nil {
		fmt.Println(err)
		return
	}

	key, err := auth.NewKey("", "HS256", shared)
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := auth.NewStatic(key)
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := auth.NewVerifier(auth.Config{Keys: keys})
	if err != nil {
		fmt.Println(err)
		return
	}
	token := auth.NewToken(signed)
	c, err := verifier.Connection(token)
	fmt.Println(token, c.User, c.Grants.In("lobby"), err)

	_, err = verifier.Connection(auth.NewToken(signed[1:]))
	fmt.Println(errors.Is(err, auth.ErrInvalid), auth.ReasonOf(err))
	// Output:
	// [token] ann moderate <nil>
	// true format
}
