package natsbroker_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
	"github.com/fanloop-go/fanloop/engine/cluster/natsserver"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// requests is what the API of JetStream is asked for.
type requests struct {
	nc  *nats.Conn
	got chan *nats.Msg
}

func countRequests(t *testing.T, server *natsserver.Server) *requests {
	t.Helper()
	nc, err := nats.Connect("", server.InProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r := &requests{nc, make(chan *nats.Msg, 1<<10)}
	if _, err := nc.ChanSubscribe("$JS.API.>", r.got); err != nil {
		t.Fatal(err)
	}
	r.take(t)
	return r
}

// take counts the requests since the last call that were answered: reads, and
// those for a single message.
func (r *requests) take(t *testing.T) (reads, singles int) {
	t.Helper()
	if err := r.nc.Flush(); err != nil { // they are in front of the answer to this
		t.Fatal(err)
	}
	for len(r.got) > 0 {
		switch m := <-r.got; {
		case strings.HasPrefix(m.Subject, "$JS.API.DIRECT.GET."):
			reads++
		case strings.HasPrefix(m.Subject, "$JS.API.STREAM.MSG.GET."):
			singles++
		}
	}
	return reads, singles
}

// A page of backward scroll costs at most two reads and one single message,
// however the messages of the topic lie among others, and one read where they lie
// evenly.
func TestScrollCosts(t *testing.T) {
	server := startServer(t, natsserver.Options{})
	asked := countRequests(t, server)
	const count, perPage = 200, 20
	random := rand.New(rand.NewPCG(seeds.First(t), 1))
	for name, between := range map[string]func(i int) int{
		"evenly":     func(int) int { return 3 },
		"alone":      func(int) int { return 0 },
		"randomly":   func(int) int { return random.IntN(8) },
		"in bursts":  func(i int) int { return i % 50 / 49 * 300 },
		"ever rarer": func(i int) int { return i / 20 },
		"ever more":  func(i int) int { return (count - i) / 20 },
		"now sparse": func(i int) int { return i / 100 * 20 },
		"now dense":  func(i int) int { return (1 - i/100) * 20 },
		"two speeds": func(i int) int { return i % 2 * 12 },
	} {
		t.Run(name, func(t *testing.T) {
			prefix := strings.ReplaceAll(name, " ", "-")
			b := connect(t, server, natsbroker.Config{Prefix: prefix, Shards: 1})
			var want []string
			for i := range count {
				for range between(i) {
					if _, err := b.Publish(t.Context(), "other", "", nil); err != nil {
						t.Fatal(err)
					}
				}
				want = append(want, fmt.Sprint("m", i))
				publish(t, b, want[i])
			}
			n := cluster.NewNode(b, cluster.Config{})
			defer n.Close()
			var got []string
			var at cluster.Position
			pages, reads := 0, 0
			asked.take(t)
			for begin := false; !begin; pages++ {
				page, err := n.Before(t.Context(), topic, at, cluster.Budget{Messages: perPage})
				if err != nil || page.Lost {
					t.Fatalf("in front of %+v: %+v, %v", at, page, err)
				}
				var ids []string
				for _, m := range page.Messages {
					ids = append(ids, m.ID)
				}
				got = append(ids, got...)
				r, s := asked.take(t)
				if at.IsZero() {
					s-- // where the end is
				}
				if r > 2 || s > 1 {
					t.Errorf("page %d of %d messages cost %d reads and %d single messages", pages, len(ids), r, s)
				}
				reads += r
				at, begin = page.Position, page.Begin
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v", got)
			}
			t.Logf("%d pages for %d messages, %d reads", pages, count, reads)
			if even := count/perPage + 2; (name == "evenly" || name == "alone") && (pages > even || reads > even+2) {
				t.Errorf("%d pages and %d reads, want %d about", pages, reads, even)
			}
		})
	}
}
