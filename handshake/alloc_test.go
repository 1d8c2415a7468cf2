package handshake

import "testing"

func TestTheServerSideDoesNotAllocate(t *testing.T) {
	head := []byte(browserHead)
	req := parse(t, browserHead)
	dst := make([]byte, 0, 1024)
	supported := []string{"chat.v9", "chat.v1"}
	var sink string
	for _, test := range []struct {
		name string
		max  float64
		f    func()
	}{
		{"Scan", 0, func() {
			var s Scanner
			for i := range head {
				if _, err := s.Scan(head[:i+1], Limits{}); err != nil {
					panic(err)
				}
			}
		}},
		{"ParseRequest", 2, func() {
			if _, err := ParseRequest(head); err != nil {
				panic(err)
			}
		}},
		{"CheckUpgrade", 0, func() {
			if err := req.CheckUpgrade(); err != nil {
				panic(err)
			}
		}},
		{"AppendResponse", 0, func() {
			if _, err := AppendResponse(dst, req, "chat.v1", "permessage-deflate", nil); err != nil {
				panic(err)
			}
		}},
		{"SameHost", 0, func() {
			if !SameHost(req) {
				panic("refused")
			}
		}},
		{"SelectSubprotocol", 0, func() { sink = SelectSubprotocol(req, supported) }},
		{"Header", 0, func() { sink = req.Header("sec-websocket-protocol") }},
		{"Cookie", 0, func() { sink, _ = req.Cookie("sid") }},
		{"Headers", 0, func() {
			for _, value := range req.Headers() {
				sink = value
			}
		}},
		{"AppendAcceptKey", 0, func() { AppendAcceptKey(dst, testKey) }},
	} {
		if got := testing.AllocsPerRun(100, test.f); got > test.max {
			t.Errorf("%s: %v allocations, at most %v", test.name, got, test.max)
		}
	}
	if sink == "" {
		t.Error("nothing was read")
	}
}

// The goal is under 2 µs for the server's part of a browser's handshake.
func BenchmarkServerHandshake(b *testing.B) {
	for name, head := range map[string]string{"browser": browserHead, "program": programHead} {
		b.Run(name, func(b *testing.B) { serve(b, []byte(head)) })
	}
}

// programHead has what a client cannot leave out.
const programHead = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n\r\n"

func serve(b *testing.B, head []byte) {
	dst := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		var s Scanner
		n, err := s.Scan(head, Limits{})
		if err != nil {
			b.Fatal(err)
		}
		req, err := s.Request(head[:n])
		if err != nil {
			b.Fatal(err)
		}
		if err := req.CheckUpgrade(); err != nil {
			b.Fatal(err)
		}
		if _, err := AppendResponse(dst, req, "", "", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScan(b *testing.B) {
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	for b.Loop() {
		var s Scanner
		if _, err := s.Scan(head, Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNegotiateDeflate(b *testing.B) {
	req := parse(b, browserHead)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := NegotiateDeflate(req, DeflateOptions{}); !ok {
			b.Fatal("declined")
		}
	}
}
