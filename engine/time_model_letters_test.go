//go:build linux

package engine_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/fanloop-go/fanloop/engine"
)

// sender says whose a letter is.
type sender struct {
	kind byte // 'S': the server, to a connection; 'P': published to a topic; 'U': the peer
	name string
}

// letter is a message of size bytes at least, which says where it belongs and what
// it asks for; the rest is ink from a place of its own.
func letter(kind byte, name string, number, size int, wish string) (engine.OpCode, []byte) {
	head := fmt.Appendf(nil, "%c %s %d %d %s ", kind, name, number, size, wish)
	op := engine.Text
	if number%2 == 0 {
		op = engine.Binary
	}
	n := max(size-len(head), 0)
	from := (number*7919 + len(name)*104729 + int(kind)*31) % (len(ink) - n)
	return op, append(head, ink[from:from+n]...)
}

// openLetter reads a letter, and says whether it is as it was written.
func openLetter(op engine.OpCode, b []byte) (from sender, number int, wish string, ok bool) {
	words := strings.SplitN(string(b[:min(len(b), 100)]), " ", 6)
	if len(words) != 6 || len(words[0]) != 1 {
		return from, 0, "", false
	}
	from = sender{words[0][0], words[1]}
	number, err1 := strconv.Atoi(words[2])
	size, err2 := strconv.Atoi(words[3])
	if err1 != nil || err2 != nil {
		return from, 0, "", false
	}
	wantOp, want := letter(from.kind, from.name, number, size, words[4])
	return from, number, words[4], op == wantOp && bytes.Equal(b, want)
}
