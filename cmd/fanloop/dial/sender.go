package dial

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// sender makes a message of every line of stdin.
type sender struct {
	lines   *bufio.Scanner
	limit   int64 // of a line; negative: none
	unsent  int   // how much may wait for the server before stdin is read on
	op      engine.OpCode
	hex     bool
	drained chan struct{} // told by onDrain
}

func newSender(r io.Reader, o *dialOptions) *sender {
	s := &sender{
		lines:   bufio.NewScanner(r),
		limit:   o.limits.MaxMessage,
		unsent:  o.limits.HighWater,
		op:      engine.Text,
		hex:     o.hex,
		drained: make(chan struct{}, 1),
	}
	if o.binary || o.hex {
		s.op = engine.Binary
	}
	longest := int64(math.MaxInt)
	if s.limit > 0 {
		longest = min(s.limit, math.MaxInt-1) + 1 // with the line end
	}
	s.lines.Buffer(nil, int(longest))
	return s
}

// run sends until stdin or the connection ends. A line that cannot be sent ends
// it with an error.
func (s *sender) run(l *link) error {
	number := 0
	for s.lines.Scan() {
		number++
		message, err := s.message(s.lines.Bytes())
		if err != nil {
			return cli.Usagef("line %d of stdin: %s", number, err)
		}
		if !l.send(s.op, message, s.unsent, s.drained) {
			return nil // the connection ended; its status says why
		}
	}
	switch err := s.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return cli.Usagef("line %d of stdin is longer than --max-message (%s)", number+1, cli.FormatSize(s.limit))
	case err != nil:
		return fmt.Errorf("cannot read stdin: %w", err)
	}
	return nil
}

// message is the payload that a line stands for. It may share its memory.
func (s *sender) message(line []byte) ([]byte, error) {
	if s.hex {
		digits := bytes.Join(bytes.Fields(line), nil)
		n, err := hex.Decode(digits, digits)
		if err != nil {
			return nil, errors.New("want an even number of hex digits")
		}
		return digits[:n], nil
	}
	if s.op == engine.Text && !utf8.Valid(line) {
		return nil, errors.New("it is not valid UTF-8, as text must be; use --binary")
	}
	return line, nil
}

// onDrain is the callback of that name.
func (s *sender) onDrain(*engine.WebSocket) {
	select {
	case s.drained <- struct{}{}:
	default: // told already
	}
}
