package revoke_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
)

func openFile(t testing.TB, path string) *revoke.File {
	t.Helper()
	f, err := revoke.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// X37: when all nodes have ended, revocations are still in force.
func TestRevocationsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	f := openFile(t, path)
	l := newList(t, revoke.Config{Store: f})
	for _, r := range []revoke.Revocation{{Kind: revoke.User, Name: "ann"}, {Kind: revoke.Token, Name: "t\n\"9"}, {Kind: revoke.Session, Name: "s9"}} {
		if err := l.Revoke(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	l = newList(t, revoke.Config{Store: openFile(t, path)})
	for _, id := range []revoke.Identity{ann("t1"), {User: "x", Token: "t\n\"9"}, {User: "x", Session: "s9"}} {
		if err := l.Check(id); !errors.Is(err, revoke.ErrRevoked) {
			t.Errorf("%+v: %v", id, err)
		}
	}
	if err := l.Check(revoke.Identity{User: "ann", Issued: time.Now().Add(2 * time.Second)}); err != nil {
		t.Error("a later token:", err)
	}
}

// A line that a crash has cut, or that is none, costs no other line, and what has
// ended is left out.
func TestFilesWithFaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	ends := time.Now().Add(time.Hour).Unix()
	line := func(name string, ends int64) string {
		return fmt.Sprintf(`{"kind":"token","name":%q,"ends":%d}`, name, ends)
	}
	text := strings.Join([]string{
		line("a", ends), "{}", "\x00\x00", line("old", 1), line("b", ends), `{"kind":"x","name":"c","ends":9999999999}`, line("cut", ends)[:20],
	}, "\n")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	if err := f.Add([]revoke.Record{{Kind: "token", Name: "new", Ends: ends}}); err != nil {
		t.Fatal(err)
	}
	records, err := f.Load()
	if err != nil || len(records) != 3 || records[0].Name != "a" || records[1].Name != "b" || records[2].Name != "new" {
		t.Errorf("%+v, %v", records, err)
	}
}

// The file does not grow for ever.
func TestFileIsRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "revoked")
	f := openFile(t, path)
	ended := make([]revoke.Record, 100)
	for i := range ended {
		ended[i] = revoke.Record{Kind: "token", Name: "t", Ends: 1}
	}
	for range 50 {
		if err := f.Add(ended); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if lines := strings.Count(string(b), "\n"); err != nil || lines > 1200 {
		t.Errorf("%d lines, %v", lines, err)
	}
	if others, _ := filepath.Glob(path + ".*"); len(others) != 0 {
		t.Errorf("left: %v", others)
	}
}

// failing is a store whose disk is full.
type failing struct{}

func (failing) Load() ([]revoke.Record, error) { return nil, nil }
func (failing) Add([]revoke.Record) error      { return errors.New("no space left") }

// What cannot be stored is in force all the same.
func TestFullDisk(t *testing.T) {
	l := newList(t, revoke.Config{Store: failing{}})
	c := connect(t, l, ann("t1"))
	if err := l.Revoke(context.Background(), revoke.Revocation{Kind: revoke.User, Name: "ann"}); !errors.Is(err, revoke.ErrNotStored) {
		t.Error(err)
	}
	if c.ended() != 1 {
		t.Error("not ended")
	}
}
