package page_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/chattest"
)

func TestModules(t *testing.T) {
	node := chattest.Program(t, "node")
	tests, err := filepath.Glob("test/*.test.js")
	if err != nil || len(tests) == 0 {
		t.Fatal("no tests of modules", err)
	}
	output, err := exec.CommandContext(t.Context(), node, append([]string{"--test"}, tests...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
