package chattest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// Script is JavaScript that runs somewhere: a page, or a program of Node.
type Script struct {
	t testing.TB
	// evaluate returns the value of an expression, or of the promise that it is, as
	// JSON. It runs in the global scope.
	evaluate func(expression string) ([]byte, error)
}

// Do runs statements, and awaits what they return.
func (s *Script) Do(statements string) {
	s.t.Helper()
	if _, err := s.evaluate("(async () => {" + statements + "})()"); err != nil {
		s.t.Fatalf("%s: %v", statements, err)
	}
}

// Get stores the value of an expression, which it awaits, in what to points to.
func (s *Script) Get(expression string, to any) {
	s.t.Helper()
	value, err := s.evaluate(expression)
	if err == nil {
		err = json.Unmarshal(value, to)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", expression, err)
	}
}

// Wait asks until a condition is true. An answer may fail while a page is left for
// another. seen are expressions whose values a failure shows.
func (s *Script) Wait(condition string, seen ...string) {
	s.t.Helper()
	var err error
	for limit := time.Now().Add(patience); time.Now().Before(limit); time.Sleep(25 * time.Millisecond) {
		var value []byte
		if value, err = s.evaluate("!!(" + condition + ")"); err == nil && string(value) == "true" {
			return
		}
	}
	state := ""
	for _, expression := range seen {
		value, _ := s.evaluate(expression)
		state += fmt.Sprintf("\n%s: %s", expression, value)
	}
	s.t.Fatalf("never: %s: %v%s", condition, err, state)
}

// Until asks until a condition is true.
func Until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("never: %s", what)
		}
	}
}
