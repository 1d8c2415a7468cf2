//go:build poison

package engine_test

import (
	"bytes"
	"testing"

	"github.com/fanloop-go/fanloop/engine"
)

// keeper breaks the rule that bytes are borrowed: it keeps them, and a copy.
type keeper struct{ kept, copied []byte }

func (k *keeper) keep(p []byte) { k.kept, k.copied = p, bytes.Clone(p) }

// R20: run with -tags poison.
func TestPoisonCatchesWhoKeepsBorrowedBytes(t *testing.T) {
	big := string(pattern(200 << 10)) // more than one read
	cases := map[string]string{
		"OnText":               frame(0x81, "borrowed"),
		"OnText of fragments":  frame(0x01, "borr") + frame(0x80, "owed"),
		"OnBinary":             frame(0x82, "borrowed"),
		"OnBinary, large":      frame(0x82, big),
		"OnPing":               frame(0x89, "borrowed"),
		"OnPong":               frame(0x8a, "borrowed"),
		"OnText among others":  frame(0x81, "borrowed") + frame(0x80|0x0a, ""),
		"OnBinary, small part": frame(0x02, "b") + frame(0x80, ""),
		"OnText, compressed":   frame(0xc1, string(deflated("borrowed"))),
	}
	for name, octets := range cases {
		t.Run(name, func(t *testing.T) {
			var k keeper // of the loop
			opened, got := make(chan *engine.WebSocket, 1), make(chan struct{}, 1)
			keep := func(_ *engine.WebSocket, p []byte) {
				if len(p) > 0 {
					k.keep(p)
					got <- struct{}{}
				}
			}
			addr := listen(t, &engine.Server{
				OnUpgrade:   func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
				Callbacks:   engine.Callbacks{OnText: keep, OnBinary: keep, OnPing: keep, OnPong: keep},
				Compression: &engine.Compression{},
			})
			c := openRaw(t, addr, offering("permessage-deflate"))
			c.send(octets)
			ws := within(t, "OnUpgrade", opened)
			within(t, "the callback", got)
			wantPoisoned(t, ws, &k)
		})
	}
}

// R20
func TestPoisonCatchesWhoKeepsAPiece(t *testing.T) {
	var k keeper
	opened, got := make(chan *engine.WebSocket, 1), make(chan struct{}, 1)
	addr := listen(t, &engine.Server{
		OnUpgrade: func(ws *engine.WebSocket, _ *engine.Request) { opened <- ws },
		Callbacks: engine.Callbacks{OnFragment: func(_ *engine.WebSocket, _ engine.OpCode, piece []byte, _ bool) {
			k.keep(piece)
			got <- struct{}{}
		}},
	})
	c := openRaw(t, addr)
	c.send(frame(0x02, "borrowed"))
	ws := within(t, "OnUpgrade", opened)
	within(t, "OnFragment", got)
	wantPoisoned(t, ws, &k)
}

// R20
func TestPoisonCatchesWhoKeepsBytesOfAClient(t *testing.T) {
	var k keeper
	got := make(chan struct{}, 1)
	addr := listen(t, &engine.Server{Callbacks: echo})
	ws := dialEngine(t, addr, &engine.DialOptions{Callbacks: engine.Callbacks{
		OnText: func(_ *engine.WebSocket, text []byte) {
			k.keep(text)
			got <- struct{}{}
		},
	}})
	if err := ws.SendText("borrowed"); err != nil {
		t.Fatal(err)
	}
	within(t, "OnText", got)
	wantPoisoned(t, ws, &k)
}

// wantPoisoned looks, on the loop, at what was kept.
func wantPoisoned(t *testing.T, ws *engine.WebSocket, k *keeper) {
	t.Helper()
	seen := make(chan keeper, 1)
	if err := ws.Do(func() { seen <- keeper{bytes.Clone(k.kept), k.copied} }); err != nil {
		t.Fatal(err)
	}
	s := within(t, "the loop", seen)
	if len(s.copied) == 0 {
		t.Fatal("nothing was kept")
	}
	for i := range s.kept {
		if s.kept[i] == s.copied[i] {
			t.Fatalf("byte %d of %d is still what it was: keeping borrowed bytes is not caught", i, len(s.kept))
		}
	}
}
