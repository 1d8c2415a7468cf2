package engine_test

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/fanloop-go/fanloop/engine"
)

// segments is how many segments with data the client's kernel has received. On
// the loopback device each write that fits makes one: Nagle's algorithm is off.
func (c *rawClient) segments() (n int) {
	c.t.Helper()
	raw, err := c.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		c.t.Fatal(err)
	}
	var info *unix.TCPInfo
	if cerr := raw.Control(func(fd uintptr) {
		info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	}); cerr != nil || err != nil {
		c.t.Fatal(cerr, err)
	}
	return int(info.Data_segs_in)
}

func TestABurstOfPublishesReachesEachSubscriberInOneWrite(t *testing.T) {
	const clients, burst = 5, 20
	for _, body := range []int{120, 2000} {
		t.Run(fmt.Sprint(body), func(t *testing.T) {
			// On one loop: another would wake during the burst, and rightly so.
			r := openRoom(t, &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
				OnText: func(ws *engine.WebSocket, _ []byte) {
					for i := range burst {
						topic := []string{"room", "other"}[i/(burst/2)]
						if _, err := ws.Publish(topic, engine.BinaryMessage(numbered(uint32(i), body))); err != nil {
							t.Error(err)
						}
					}
				},
			}})
			talker, _ := r.join()
			var peers []*rawClient
			for range clients {
				c, ws := r.join()
				if err := ws.Subscribe("other"); err != nil {
					t.Fatal(err)
				}
				peers = append(peers, c)
			}
			for range 3 {
				var before []int
				for _, c := range peers {
					before = append(before, c.segments())
				}
				talker.sendFrame(engine.Text, true, nil)
				for i, c := range peers {
					for j := range uint32(burst) {
						c.wantNumbered(j, body)
					}
					// One write of 40 kB may be more than TCP puts into a segment.
					if n := c.segments() - before[i]; n > 1+burst*body/16384 {
						t.Errorf("client %d: %d publishes came in %d segments", i, burst, n)
					}
				}
			}
		})
	}
}

// The measure itself: messages that are sent one by one come one by one, and
// those of subscribers on the publishing loop come in exactly one.
func TestABurstOnOneLoopIsExactlyOneWrite(t *testing.T) {
	const burst = 20
	r := openRoom(t, &engine.Server{Loops: 1, Callbacks: engine.Callbacks{
		OnText: func(ws *engine.WebSocket, _ []byte) {
			for i := range burst {
				if _, err := ws.Publish("room", engine.TextMessage(fmt.Append(nil, i))); err != nil {
					t.Error(err)
				}
			}
			if _, err := ws.Publish("other", engine.TextMessage("and another topic")); err != nil {
				t.Error(err)
			}
		},
	}})
	talker, _ := r.join()
	c, ws := r.join()
	if err := ws.Subscribe("other"); err != nil {
		t.Fatal(err)
	}
	for i := range burst {
		before := c.segments()
		if err := ws.SendText(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		c.wantMessage(engine.Text, fmt.Sprint(i))
		if n := c.segments() - before; n != 1 {
			t.Fatalf("one message came in %d segments", n)
		}
	}
	before := c.segments()
	talker.sendFrame(engine.Text, true, nil)
	for i := range burst {
		c.wantMessage(engine.Text, fmt.Sprint(i))
	}
	c.wantMessage(engine.Text, "and another topic")
	if n := c.segments() - before; n != 1 {
		t.Errorf("%d publishes of one callback came in %d segments", burst, n)
	}
}

// Encoded once: what a publish allocates does not depend on how many get it.
func TestPublishAllocatesTheSameForAnyNumberOfSubscribers(t *testing.T) {
	needs(t, noAllocations)
	if raceEnabled {
		t.Skip("the race detector allocates by itself")
	}
	for name, offers := range map[string][]string{"plain": fanOffers[:1], "compressed": fanOffers} {
		t.Run(name, func(t *testing.T) { testPublishAllocates(t, offers) })
	}
}

func testPublishAllocates(t *testing.T, offers []string) {
	const rounds = 20
	body := []byte(strings.Repeat("shrinks ", 20))
	allocations := func(clients int) float64 {
		compression := takeover
		compression.Threshold = 50
		r := openRoom(t, &engine.Server{Loops: 1, Compression: &compression})
		var last *engine.WebSocket
		for i := range clients { // the kernel keeps what nobody reads here
			_, last = r.join(offering(offers[i%len(offers)]))
		}
		wake := make(chan struct{})
		each := func() {
			if d, err := r.srv.Publish("room", engine.BinaryMessage(body)); err != nil || d != queued(clients) {
				t.Fatalf("%+v, %v", d, err)
			}
			if err := last.Do(func() { wake <- struct{}{} }); err != nil {
				t.Fatal(err)
			}
			<-wake
		}
		for range 10 {
			each()
		}
		_, objects := leastAllocated(5, func() {
			for range rounds {
				each()
			}
		})
		return float64(objects) / rounds
	}
	few, many := allocations(10), allocations(1000)
	t.Logf("%.1f objects for a publish to 10, %.1f for one to 1000", few, many)
	if many > few+2 || few > 20 {
		t.Error("want the same few")
	}
}
