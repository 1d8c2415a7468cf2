package chattest

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"sync"
	"testing"
)

// StartScript starts a program of Node that evaluates expressions: each line of its
// input is one as a JSON string, and each line of its output {value} or {error}.
func StartScript(t testing.TB, file string, options any) *Script {
	t.Helper()
	argument, err := json.Marshal(options)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(Program(t, "node"), file, string(argument))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close() // it ends with its input
		_ = cmd.Wait()
	})
	var mu sync.Mutex
	to, from := json.NewEncoder(stdin), bufio.NewReader(stdout)
	return &Script{t: t, evaluate: func(expression string) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if err := to.Encode(expression); err != nil {
			return nil, err
		}
		line, err := from.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var answer struct {
			Value json.RawMessage
			Error string
		}
		if err := json.Unmarshal(line, &answer); err != nil {
			return nil, err
		}
		if answer.Error != "" {
			return nil, errors.New(answer.Error)
		}
		return answer.Value, nil
	}}
}
