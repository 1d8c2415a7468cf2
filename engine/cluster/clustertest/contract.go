package clustertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// TestBroker runs the tests that every Broker has to pass. open returns two
// connections to one empty store which keeps keep messages of each topic, at
// least 5.
func TestBroker(t *testing.T, keep int, open func(t *testing.T) (a, b cluster.Broker)) {
	for name, test := range map[string]func(*contract){
		"Publish":             (*contract).publish,
		"DuplicateIDs":        (*contract).duplicates,
		"OneIDInTwoTopics":    (*contract).oneIDInTwoTopics,
		"SameIDAtOnce":        (*contract).sameIDAtOnce,
		"HeadOfAnEmptyTopic":  (*contract).emptyHead,
		"Read":                (*contract).read,
		"ReadWithinABudget":   (*contract).budget,
		"ReadBack":            (*contract).back,
		"Scroll":              (*contract).scroll,
		"Intact":              (*contract).intact,
		"Follow":              (*contract).live,
		"OneOrder":            (*contract).oneOrder,
		"TopicNames":          (*contract).names,
		"CancelledContext":    (*contract).cancelled,
		"NodesOnThisBroker":   (*contract).nodes,
		"EmptyTopicsOfANode":  (*contract).emptyTopic,
		"MessagesWithoutData": (*contract).empty,
	} {
		t.Run(name, func(t *testing.T) {
			a, b := open(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			test(&contract{T: t, ctx: ctx, a: a, b: b, keep: keep})
		})
	}
}

type contract struct {
	*testing.T
	ctx  context.Context
	a, b cluster.Broker
	keep int
}

func (c *contract) put(b cluster.Broker, topic, id, data string) cluster.Position {
	c.Helper()
	ack, err := b.Publish(c.ctx, topic, id, []byte(data))
	if err != nil {
		c.Fatalf("Publish: %v", err)
	}
	return ack.Position
}

// follow delivers what is stored from now on to l.
func (c *contract) follow(b cluster.Broker, topic string, l cluster.Listener) (stop func()) {
	c.Helper()
	stop, err := b.Follow(topic, l)
	if err != nil {
		c.Fatalf("Follow %q: %v", topic, err)
	}
	c.headOf(b, topic)
	return stop
}

func (c *contract) headOf(b cluster.Broker, topic string) cluster.Head {
	c.Helper()
	head, err := b.Head(c.ctx, topic)
	if err != nil {
		c.Fatalf("Head: %v", err)
	}
	return head
}

func (c *contract) page(b cluster.Broker, topic string, from uint64, messages int) []cluster.Message {
	c.Helper()
	page, err := b.Read(c.ctx, topic, from, cluster.Budget{Messages: messages, Bytes: 1 << 20})
	if err != nil {
		c.Fatalf("Read: %v", err)
	}
	return page
}

// publish: what is stored has its id, data, time and place, for all connections.
func (c *contract) publish() {
	begun := time.Now()
	at := c.put(c.a, "room", "one", "hello")
	if at.Epoch == "" || at.Offset == 0 || at.ID != "one" {
		c.Errorf("position %+v", at)
	}
	if head := c.headOf(c.b, "room"); head.Position != at || head.Through < at.Offset {
		c.Errorf("head %+v, want it at %v", head, at)
	}
	page := c.page(c.b, "room", at.Offset, 10)
	if len(page) != 1 || page[0].Position() != at || string(page[0].Data) != "hello" || page[0].Topic != "room" {
		c.Fatalf("read %+v", page)
	}
	if age := page[0].Time.Sub(begun); age < -time.Minute || age > time.Minute {
		c.Errorf("stored %v after the publish", age)
	}
	if named := c.put(c.a, "room", "", "x"); named.ID == "" || named.Offset <= at.Offset || named.Epoch != at.Epoch {
		c.Errorf("a publish without id is at %+v", named)
	}
}

// duplicates: an id that is published again, also by another connection, is
// stored once.
func (c *contract) duplicates() {
	at := c.put(c.a, "room", "one", "first")
	c.put(c.a, "room", "two", "")
	for _, b := range []cluster.Broker{c.a, c.b} {
		ack, err := b.Publish(c.ctx, "room", "one", []byte("again"))
		if err != nil || !ack.Duplicate || ack.Position != at {
			c.Errorf("again: %+v, %v; want a duplicate at %v", ack, err, at)
		}
	}
	if page := c.page(c.b, "room", 1, 10); len(page) != 2 || string(page[0].Data) != "first" {
		c.Errorf("stored: %+v", page)
	}
}

// oneIDInTwoTopics: ids belong to their topic.
func (c *contract) oneIDInTwoTopics() {
	for i := range 40 { // some share a stream, where there are several
		topic := fmt.Sprintf("room %d", i)
		ack, err := c.a.Publish(c.ctx, topic, "the id", []byte(topic))
		if err != nil || ack.Duplicate || ack.Position.ID != "the id" {
			c.Fatalf("%s: %+v, %v", topic, ack, err)
		}
		if page := c.page(c.a, topic, 1, 10); len(page) != 1 || string(page[0].Data) != topic {
			c.Fatalf("%s: stored %+v", topic, page)
		}
	}
}

// sameIDAtOnce: one message, whoever is first (C08, C17).
func (c *contract) sameIDAtOnce() {
	var mu sync.Mutex
	places := map[cluster.Position]int{}
	firsts := 0
	var publishers sync.WaitGroup
	for i := range 20 {
		publishers.Go(func() {
			b := []cluster.Broker{c.a, c.b}[i%2]
			ack, err := b.Publish(c.ctx, "room", "once", nil)
			if err != nil {
				c.Errorf("Publish: %v", err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			places[ack.Position]++
			if !ack.Duplicate {
				firsts++
			}
		})
	}
	publishers.Wait()
	if len(places) != 1 || firsts != 1 || len(c.page(c.a, "room", 1, 10)) != 1 {
		c.Errorf("acknowledged at %v, %d not as duplicates", places, firsts)
	}
}

// emptyHead: an empty topic has the place behind what is in the store.
func (c *contract) emptyHead() {
	for range 3 {
		head := c.headOf(c.a, "empty")
		at := head.Position
		if at.Epoch == "" || at.ID != "" || at.Offset != head.Through || head.First > at.Offset+1 {
			c.Errorf("head of an empty topic: %+v", head)
		}
		if page := c.page(c.a, "empty", 1, 10); len(page) != 0 {
			c.Errorf("read %+v", page)
		}
		for i := range 20 {
			c.put(c.a, fmt.Sprintf("other %d", i), "", "")
		}
	}
}

func (c *contract) read() {
	var all []cluster.Position
	for i := range 5 {
		all = append(all, c.put(c.a, "room", fmt.Sprint("m", i), fmt.Sprint(i)))
		c.put(c.a, "other", "", "between")
	}
	for i, at := range all {
		page := c.page(c.b, "room", at.Offset, 10)
		if len(page) != len(all)-i {
			c.Fatalf("from %v: %d messages, want %d", at, len(page), len(all)-i)
		}
		for j, m := range page {
			if m.Position() != all[i+j] || j > 0 && m.Prev != all[i+j-1].Offset {
				c.Errorf("from %v: message %d is %+v", at, j, m)
			}
		}
		if page := c.page(c.b, "room", at.Offset+1, 10); len(page) != len(all)-i-1 {
			c.Errorf("from behind %v: %d messages", at, len(page))
		}
	}
	if page := c.page(c.b, "room", all[4].Offset+1000, 10); len(page) != 0 {
		c.Errorf("from the future: %+v", page)
	}
}

func (c *contract) budget() {
	first := c.put(c.a, "room", "m0", strings.Repeat("x", 1000))
	for i := 1; i < 5; i++ {
		c.put(c.a, "room", fmt.Sprint("m", i), strings.Repeat("x", 1000))
	}
	if page := c.page(c.a, "room", first.Offset, 3); len(page) != 3 {
		c.Errorf("%d messages, want 3", len(page))
	}
	for _, bytes := range []int{1, 2500} {
		page, err := c.a.Read(c.ctx, "room", first.Offset, cluster.Budget{Messages: 10, Bytes: bytes})
		if err != nil || len(page) < 1 || len(page) > 3 || page[0].Position() != first {
			c.Errorf("%d messages for %d bytes, %v", len(page), bytes, err)
		}
	}
}

// back: a page ends with the message that was asked for, has no hole, and at least
// one message in front of it if there is one, whatever the guess.
func (c *contract) back() {
	var all []cluster.Position
	for i := range c.keep {
		if i == c.keep/2 { // what comes now is further apart
			for range 100 {
				c.put(c.a, "other", "", "between")
			}
		}
		all = append(all, c.put(c.a, "room", fmt.Sprint("m", i), fmt.Sprint(i)))
		c.put(c.a, "other", "", "between")
	}
	back := func(to, guess uint64, messages int) []cluster.Message {
		page, err := c.b.ReadBack(c.ctx, "room", to, guess, cluster.Budget{Messages: messages, Bytes: 1 << 20})
		if err != nil {
			c.Fatalf("ReadBack to %d from %d: %v", to, guess, err)
		}
		return page
	}
	for i, at := range all {
		for _, messages := range []int{1, 3, c.keep} {
			for _, guess := range []uint64{0, 1, all[0].Offset, all[max(i-2, 0)].Offset, all[max(i-1, 0)].Offset + 1, at.Offset, at.Offset + 1} {
				page := back(at.Offset, guess, messages)
				c.endsWith(page, all[:i+1], min(2, i+1), messages+1)
			}
		}
		c.endsWith(back(at.Offset+1, 0, 2), all[:i+1], 1, 2) // nothing is there
	}
	c.endsWith(back(all[c.keep-1].Offset+1000, 0, 3), all, 1, 3)
	if page := back(all[0].Offset, 0, 5); len(page) != 1 {
		c.Errorf("to the first message: %+v", page)
	}
	if page := back(all[0].Offset-1, 0, 5); len(page) != 0 {
		c.Errorf("in front of the first message: %+v", page)
	}
}

// endsWith checks that a page is the last of all, from least to limit of them.
func (c *contract) endsWith(page []cluster.Message, all []cluster.Position, least, limit int) {
	c.Helper()
	if len(page) < least || len(page) > min(limit, len(all)) {
		c.Fatalf("%d messages of %d, want %d to %d", len(page), len(all), least, limit)
	}
	for i, m := range page {
		want := all[len(all)-len(page)+i]
		if m.Position() != want || i > 0 && m.Prev != page[i-1].Offset || m.Topic != "room" || m.Time.IsZero() {
			c.Errorf("message %d of %d is %+v, want it at %+v", i, len(page), m, want)
		}
	}
}

// scroll: a client pages from the end to the beginning, and gets everything once.
func (c *contract) scroll() {
	var want []string
	for i := range c.keep {
		want = append(want, fmt.Sprint("m", i))
		c.put(c.a, "room", want[i], strings.Repeat("x", i*10))
		c.put(c.a, "other", "", "between")
	}
	n := cluster.NewNode(c.b, cluster.Config{})
	defer n.Close()
	var got []string
	at := cluster.Position{}
	for begin := false; !begin; {
		page, err := n.Before(c.ctx, "room", at, cluster.Budget{Messages: 4})
		if err != nil || page.Lost || len(page.Messages) == 0 && !page.Begin || len(page.Messages) > 4 {
			c.Fatalf("in front of %+v: %+v, %v", at, page, err)
		}
		var ids []string
		for _, m := range page.Messages {
			ids = append(ids, m.ID)
		}
		got = append(ids, got...)
		at, begin = page.Position, page.Begin
	}
	if !slices.Equal(got, want) {
		c.Errorf("got %v", got)
	}
	foreign := at
	foreign.ID = "another"
	if page, err := n.Before(c.ctx, "room", foreign, cluster.Budget{}); err != nil || !page.Lost {
		c.Errorf("a position of another store: %+v, %v", page, err)
	}
	if page, err := n.Before(c.ctx, "empty", cluster.Position{}, cluster.Budget{}); err != nil || !page.Begin || len(page.Messages) > 0 {
		c.Errorf("an empty topic: %+v, %v", page, err)
	}
}

// intact: whether everything behind an offset is kept is known until something is
// discarded.
func (c *contract) intact() {
	empty := c.headOf(c.a, "room").Position
	for i := range c.keep + 1 {
		intact, err := c.b.Intact(c.ctx, "room", empty.Offset)
		if err != nil || i < c.keep && !intact {
			c.Errorf("after %d messages: %v, %v", i, intact, err)
		}
		c.put(c.a, "room", "", "")
	}
	if intact, err := c.b.Intact(c.ctx, "room", empty.Offset); err != nil || intact {
		c.Errorf("after one was discarded: %v, %v", intact, err)
	}
	if page := c.page(c.a, "room", 1, 2*c.keep); len(page) != c.keep {
		c.Errorf("%d messages kept, want %d", len(page), c.keep)
	}
}

// inbox is a Listener that collects.
type inbox struct {
	mu       sync.Mutex
	messages map[uint64]cluster.Message
	came     chan struct{}
}

func newInbox() *inbox {
	return &inbox{messages: make(map[uint64]cluster.Message), came: make(chan struct{}, 1)}
}

func (i *inbox) Live(m cluster.Message) {
	i.mu.Lock()
	i.messages[m.Offset] = m
	i.mu.Unlock()
	select {
	case i.came <- struct{}{}:
	default:
	}
}

func (i *inbox) Gap(error) {}

// sorted returns the messages when there are n.
func (i *inbox) sorted(c *contract, n int) []cluster.Message {
	c.Helper()
	for limit := time.After(patience); ; {
		i.mu.Lock()
		var all []cluster.Message
		for _, m := range i.messages {
			all = append(all, m)
		}
		i.mu.Unlock()
		if len(all) >= n {
			slices.SortFunc(all, func(a, b cluster.Message) int { return int(a.Offset) - int(b.Offset) })
			return all
		}
		select {
		case <-i.came:
		case <-limit:
			c.Fatalf("%d messages came, want %d", len(all), n)
		}
	}
}

// live: live messages are those that are stored, each with the one before it.
func (c *contract) live() {
	c.put(c.a, "room", "before", "")
	boxes := []*inbox{newInbox(), newInbox()}
	var stops []func()
	for i, b := range []cluster.Broker{c.a, c.b} {
		stops = append(stops, c.follow(b, "room", boxes[i]))
	}
	for i := range 5 {
		c.put(c.a, "room", fmt.Sprint("m", i), fmt.Sprint("data ", i))
		c.put(c.b, "other", "", "")
	}
	stored := c.page(c.a, "room", 1, 10)
	for _, box := range boxes {
		for i, m := range box.sorted(c, 5) {
			want := stored[i+1]
			if m.Position() != want.Position() || m.Prev != stored[i].Offset || string(m.Data) != string(want.Data) ||
				m.Topic != "room" || !m.Time.Equal(want.Time) {
				c.Errorf("live %+v, stored %+v", m, want)
			}
		}
	}
	stops[0]()
	c.put(c.a, "room", "after", "")
	boxes[1].sorted(c, 6)
	stops[1]()
	stops[1]()
}

// oneOrder: live order and history are the same, whoever publishes (C07).
func (c *contract) oneOrder() {
	box := newInbox()
	defer c.follow(c.b, "room", box)()
	var publishers sync.WaitGroup
	for i := range c.keep {
		publishers.Go(func() {
			b := []cluster.Broker{c.a, c.b}[i%2]
			if _, err := b.Publish(c.ctx, "room", "", nil); err != nil {
				c.Errorf("Publish: %v", err)
			}
		})
	}
	publishers.Wait()
	live, stored := box.sorted(c, c.keep), c.page(c.a, "room", 1, c.keep)
	prev := uint64(0)
	for i, m := range live {
		if m.Position() != stored[i].Position() || m.Prev != prev {
			c.Errorf("live %d: %+v, stored %+v", i, m, stored[i])
		}
		prev = m.Offset
	}
}

// Names are names that a topic may have, whatever a broker does with dots, stars
// and case (C18).
var Names = []string{
	"a.b", "a", "a.b.c", ">", "*", "a b", "a\tb", "a\r\nb", "\x00", "../x", "%2e", ".", "..", "$JS.API", "$SYS.>",
	"__proto__", "A", "é", "e\u0301", "😀", "=", "=41", "\xff\xfe", "_", "-", "a_b",
	strings.Repeat("ü", 100), strings.Repeat(".", cluster.MaxTopic), strings.Repeat("x", cluster.MaxTopic),
}

// names: every name is a topic of its own.
func (c *contract) names() {
	boxes := map[string]*inbox{}
	for _, name := range Names {
		boxes[name] = newInbox()
		defer c.follow(c.b, name, boxes[name])()
	}
	for _, name := range Names {
		c.put(c.a, name, "of "+fmt.Sprintf("%q", name[:min(len(name), 20)]), name)
	}
	for _, name := range Names {
		page := c.page(c.b, name, 1, 10)
		if len(page) != 1 || string(page[0].Data) != name || page[0].Topic != name {
			c.Errorf("%q: stored %+v", name, page)
		}
		if live := boxes[name].sorted(c, 1); len(live) != 1 || string(live[0].Data) != name || live[0].Topic != name {
			c.Errorf("%q: live %+v", name, live)
		}
		if head := c.headOf(c.b, name); len(page) == 1 && head.Position != page[0].Position() {
			c.Errorf("%q: head %+v", name, head)
		}
	}
}

// cancelled: no call outlives its context.
func (c *contract) cancelled() {
	ctx, cancel := context.WithCancel(c.ctx)
	cancel()
	_, put := c.a.Publish(ctx, "room", "", nil)
	_, head := c.a.Head(ctx, "room")
	_, read := c.a.Read(ctx, "room", 1, cluster.Budget{Messages: 1, Bytes: 1})
	_, back := c.a.ReadBack(ctx, "room", 2, 0, cluster.Budget{Messages: 1, Bytes: 1})
	_, intact := c.a.Intact(ctx, "room", 1)
	for name, err := range map[string]error{"Publish": put, "Head": head, "Read": read, "ReadBack": back, "Intact": intact} {
		if err == nil {
			c.Errorf("%s succeeded with a cancelled context", name)
		}
	}
}

// nodes: a client goes from node to node under a stream of publishes and gets
// everything once and in order (C10).
func (c *contract) nodes() {
	const count = 300
	nodes := []*cluster.Node{
		cluster.NewNode(c.a, cluster.Config{Ring: cluster.Budget{Messages: 50}}),
		cluster.NewNode(c.b, cluster.Config{Ring: cluster.Budget{Messages: 50}}),
	}
	defer nodes[0].Close()
	defer nodes[1].Close()
	start, err := nodes[0].Subscribe(c.ctx, "room", cluster.Position{}, func() {})
	if err != nil {
		c.Fatal(err)
	}
	at := start.Position()
	start.Close()
	var publisher sync.WaitGroup
	defer publisher.Wait()
	room := make(chan struct{}, c.keep-1) // so that nothing is discarded which the client has not
	publisher.Go(func() {
		for i := range count {
			select {
			case room <- struct{}{}:
			case <-c.ctx.Done():
				return
			}
			if _, err := nodes[i%2].Publish(c.ctx, "room", fmt.Sprint(i), nil); err != nil {
				c.Errorf("Publish: %v", err)
				return
			}
		}
	})
	next := 0
	for visit := 0; next < count && c.ctx.Err() == nil; visit++ {
		wake := make(chan struct{}, 1)
		s, err := nodes[visit%2].Subscribe(c.ctx, "room", at, func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		if err != nil {
			c.Fatal(err)
		}
		for stay := next + 20; next < min(stay, count); {
			batch, err := s.Next(c.ctx, cluster.Budget{Messages: 7})
			if err != nil || batch.Lost {
				c.Fatalf("Next: %+v, %v", batch, err)
			}
			for _, m := range batch.Messages {
				if m.ID != fmt.Sprint(next) {
					c.Fatalf("got %s, want %d", m.ID, next)
				}
				next++
				<-room
			}
			at = batch.Position
			if !batch.More && next < min(stay, count) {
				select {
				case <-wake:
				case <-c.ctx.Done():
					c.Fatalf("nothing came behind %d", next)
				}
			}
		}
		s.Close()
	}
}

// emptyTopic: what is published to an empty topic is recovered by who saw it
// empty.
func (c *contract) emptyTopic() {
	n := cluster.NewNode(c.a, cluster.Config{})
	defer n.Close()
	s, err := n.Subscribe(c.ctx, "room", cluster.Position{}, func() {})
	if err != nil {
		c.Fatal(err)
	}
	empty := s.Position()
	s.Close()
	c.put(c.b, "room", "first", "")
	other := cluster.NewNode(c.b, cluster.Config{})
	defer other.Close()
	for _, n := range []*cluster.Node{n, other} {
		s, err := n.Subscribe(c.ctx, "room", empty, func() {})
		if err != nil {
			c.Fatal(err)
		}
		for {
			batch, err := s.Next(c.ctx, cluster.Budget{})
			if err != nil || batch.Lost {
				c.Fatalf("%+v, %v", batch, err)
			}
			if len(batch.Messages) == 1 && batch.Messages[0].ID == "first" {
				break
			}
			time.Sleep(time.Millisecond) // the node has not heard of it yet
		}
		s.Close()
	}
}

// empty: a message may have no data.
func (c *contract) empty() {
	at := c.put(c.a, "room", "nothing", "")
	if page := c.page(c.b, "room", at.Offset, 5); len(page) != 1 || len(page[0].Data) != 0 {
		c.Errorf("read %+v", page)
	}
}
