//go:build poison

package pull_test

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// Run with -tags poison: what a read returned stays as it is when the loop's buffers
// are overwritten.
func TestPoisonLeavesMessagesAlone(t *testing.T) {
	compression := &engine.Compression{}
	server, client := pair(t, &engine.Server{Compression: compression}, &engine.DialOptions{Compression: compression})
	text := func(i int) string { return fmt.Sprintf("message %d %s", i, strings.Repeat("x", i*500)) }
	kept := make([][]byte, 0, 100)
	for i := range cap(kept) {
		if i%3 == 0 {
			fragment(t, client, text(i)[:5], false)
			fragment(t, client, text(i)[5:], true)
		} else {
			send(t, client, text(i))
		}
		var data []byte
		var err error
		if i%2 == 0 {
			_, data, err = server.Read(soon(t))
		} else if r, e := server.Reader(soon(t)); e == nil {
			data, err = io.ReadAll(r)
		} else {
			err = e
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, data)
	}
	for i, data := range kept {
		if string(data) != text(i) {
			t.Errorf("message %d is %.40q", i, data)
		}
	}
}
