package chattest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience bounds what hangs. No condition of a test that passes takes so long.
const patience = 4 * time.Minute

// Program returns the path of the first program that there is. It skips the test where
// there is none, unless FANLOOP_INTEROP is required.
func Program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Missing(t, "no "+strings.Join(names, " or ")+" on PATH")
	return ""
}

// Packages skips the test where make interop has not installed the packages of npm into
// a folder.
func Packages(t testing.TB, folder string) {
	t.Helper()
	if _, err := os.Stat(folder + "/node_modules/.package-lock.json"); err != nil {
		Missing(t, "no packages in "+folder+": run make interop")
	}
}

// Missing skips the test, or fails it where FANLOOP_INTEROP is required.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("FANLOOP_INTEROP") == "required" {
		t.Fatal(why)
	}
	t.Skip(why)
}
