package engine_test

import (
	"encoding/base64"
	"fmt"
	"math/rand"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// halves returns text that shrinks to about half with windows of any size.
func halves(random *rand.Rand, size int) string {
	var b strings.Builder
	for octets := make([]byte, 32); b.Len() < size; {
		_, _ = random.Read(octets)
		part := base64.StdEncoding.EncodeToString(octets)
		b.WriteString(part + part)
	}
	return b.String()
}

// What is retained is compressed once for each window size and kept, so the ledger has it: whether the
// subscribers were there before or come after, and nothing is left of it when it is removed.
func TestLedgerKnowsCompressedCopiesOfRetainedMessages(t *testing.T) {
	skipCosts(t)
	const messages = 1500
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("late %v", late), func(t *testing.T) {
			srv := &engine.Server{Loops: 2, MaxRetained: engine.NoLimit, Compression: &engine.Compression{}, Limits: engine.Limits{MaxQueued: 64 << 20}}
			r := openRoom(t, srv)
			var came atomic.Int64
			join := func(bits int) {
				t.Helper()
				ws, err := engine.Dial(t.Context(), "ws://"+r.addr, &engine.DialOptions{
					Compression: &engine.Compression{ServerMaxWindowBits: bits},
					Callbacks:   engine.Callbacks{OnText: func(*engine.WebSocket, []byte) { came.Add(1) }},
				})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(ws.CloseNow)
				if err := within(t, "OnUpgrade", r.joined).Subscribe("prices"); err != nil {
					t.Fatal(err)
				}
			}
			windows := []int{9, 12, 15}
			if !late {
				for _, bits := range windows {
					join(bits)
				}
			}
			random := rand.New(rand.NewSource(1))
			wantLedger(t, srv, func() {
				for i := range messages {
					r.retain("prices", fmt.Sprint("key ", i), halves(random, 3000))
				}
				if late {
					for _, bits := range windows {
						join(bits)
					}
				}
				eventually(t, "all came", func() bool { return came.Load() == int64(messages*len(windows)) })
				if made := srv.Stats().Compressions; made < uint64(messages*len(windows)) {
					t.Errorf("%d copies were made", made)
				}
				eventually(t, "nothing is queued", func() bool { return srv.Stats().QueuedBytes == 0 })
			})
			srv.Topic("prices").ForgetAll()
			eventually(t, "nothing is left", func() bool { return heldBy(srv) == 0 })
		})
	}
}
