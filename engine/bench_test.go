package engine_test

import (
	"io"
	"strconv"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// BenchmarkEchoOfOneRead echoes frames that came in one read: what a message costs
// besides the system calls. The bytes of many reads leave in one send.
func BenchmarkEchoOfOneRead(b *testing.B) {
	for _, size := range []int{64, 1024} {
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			const frames = 16
			open := make(chan *engine.WebSocket, 1)
			addr := listen(b, &engine.Server{Loops: 1, Callbacks: echo, OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { open <- ws }})
			peer := openRaw(b, addr).Conn
			go io.Copy(io.Discard, peer)
			ws := <-open
			read := []byte(repeat(frame(0x82, string(pattern(size))), frames))
			buf := make([]byte, len(read))
			reads := max(1, (48<<10)/len(read))
			done := make(chan struct{})
			b.ResetTimer()
			for i := 0; i < b.N; i += reads * frames {
				ws.Do(func() {
					for range reads {
						copy(buf, read)
						engine.Receive(ws, buf)
					}
					done <- struct{}{}
				})
				<-done
			}
		})
	}
}
