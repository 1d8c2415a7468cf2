package natsbroker_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/engine/cluster/natsbroker"
)

// lagging is a stream whose leader has all messages, and whose Direct Gets are answered by
// a replica that has the first ones only. It answers as NATS does, over a server without
// JetStream.
type lagging struct {
	t      *testing.T
	nc     *nats.Conn
	server *server.Server

	mu      sync.Mutex
	topics  []string // of the message at each sequence, from 1 on
	replica uint64   // the last that the replica has
	reads   int      // Direct Gets so far
	then    func()   // called after each Direct Get, with mu; nil: nothing
}

const laggingEpoch = "EPOCH"

func laggingSubject(topic string) string { return "fanloop.topic.0." + laggingEpoch + "." + topic }

// startLagging returns the stream, and a broker that uses it.
func startLagging(t *testing.T) (*lagging, *natsbroker.Broker) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	l := &lagging{t: t, nc: nc, server: s}
	for subject, answer := range map[string]func(*nats.Msg){
		"STREAM.INFO.fanloop-0":    l.info,
		"STREAM.MSG.GET.fanloop-0": l.leader,
		"DIRECT.GET.fanloop-0":     l.direct,
	} {
		if _, err := nc.Subscribe(jetstream.DefaultAPIPrefix+subject, answer); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	b, err := natsbroker.Connect(t.Context(), natsbroker.Config{Shards: 1, Options: []nats.Option{nats.InProcessServer(s)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return l, b
}

// set has the messages be these, of which the replica has some.
func (l *lagging) set(topics []string, replica uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topics, l.replica = topics, replica
}

// of returns the sequences of a topic up to one.
func (l *lagging) of(topic string, last uint64) (all []uint64) {
	for i, name := range l.topics[:min(last, uint64(len(l.topics)))] {
		if name == topic {
			all = append(all, uint64(i+1))
		}
	}
	return all
}

func (l *lagging) respond(m *nats.Msg, answer any) {
	data, err := json.Marshal(answer)
	if err != nil {
		l.t.Error(err)
	}
	_ = m.Respond(data) // an error: nobody waits
}

func (l *lagging) info(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.respond(m, map[string]any{
		"config": jetstream.StreamConfig{
			Name: "fanloop-0", MaxMsgsPerSubject: 1000,
			Metadata: map[string]string{"fanloop.epoch": laggingEpoch, "fanloop.shards": "1"},
		},
		"state": jetstream.StreamState{Msgs: uint64(len(l.topics)), FirstSeq: 1, LastSeq: uint64(len(l.topics))},
	})
}

func laggingID(sequence uint64) string { return fmt.Sprint("m", sequence) }

// leader answers with one message of all.
func (l *lagging) leader(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var ask struct {
		Seq     uint64
		LastFor string `json:"last_by_subj"`
		NextFor string `json:"next_by_subj"`
	}
	if err := json.Unmarshal(m.Data, &ask); err != nil {
		l.t.Error(err)
	}
	found := uint64(0)
	for i, topic := range l.topics {
		switch sequence, subject := uint64(i+1), laggingSubject(topic); {
		case ask.LastFor != "" && subject == ask.LastFor, ask.LastFor == "" && ask.NextFor == "" && sequence == ask.Seq:
			found = sequence
		case found == 0 && subject == ask.NextFor && sequence >= ask.Seq:
			found = sequence
		}
	}
	if found == 0 {
		l.respond(m, map[string]any{"error": jetstream.APIError{Code: 404, ErrorCode: jetstream.JSErrCodeMessageNotFound}})
		return
	}
	l.respond(m, map[string]any{"message": map[string]any{
		"subject": laggingSubject(l.topics[found-1]), "seq": found, "time": time.Unix(int64(found), 0).UTC(),
		"hdrs": []byte("NATS/1.0\r\nNats-Msg-Id: x:" + laggingID(found) + ".\r\n\r\n"),
	}})
}

// direct answers a Direct Get of several messages, or of the last of a topic.
func (l *lagging) direct(m *nats.Msg) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.then != nil {
		defer l.then()
	}
	var ask struct {
		Seq     uint64
		NextFor string `json:"next_by_subj"`
		Batch   int
		Last    []string `json:"multi_last"`
		UpTo    uint64   `json:"up_to_seq"`
	}
	if err := json.Unmarshal(m.Data, &ask); err != nil {
		l.t.Error(err)
	}
	topicOf := func(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
	var found []uint64
	pending := 0
	if len(ask.Last) > 0 {
		found = l.of(topicOf(ask.Last[0]), min(ask.UpTo, l.replica))
		found = found[max(0, len(found)-1):]
	} else {
		found = slices.DeleteFunc(l.of(topicOf(ask.NextFor), l.replica), func(s uint64) bool { return s < ask.Seq })
		pending = max(0, len(found)-ask.Batch)
		found = found[:len(found)-pending]
	}
	if len(found) == 0 {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}})
		return
	}
	before := uint64(0)
	for i, sequence := range found {
		_ = m.RespondMsg(&nats.Msg{Header: nats.Header{
			"Nats-Stream": {"fanloop-0"}, "Nats-Subject": {laggingSubject(l.topics[sequence-1])},
			"Nats-Sequence": {fmt.Sprint(sequence)}, "Nats-Last-Sequence": {fmt.Sprint(before)},
			"Nats-Num-Pending": {fmt.Sprint(pending + len(found) - 1 - i)},
			"Nats-Time-Stamp":  {time.Unix(int64(sequence), 0).UTC().Format(time.RFC3339Nano)},
			"Nats-Msg-Id":      {"x:" + laggingID(sequence) + "."},
		}})
		before = sequence
	}
	_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"204"}, "Description": {"EOB"}}})
}

// A page is read by a replica that is behind: it is without a hole and ends where it is to
// end, or the answer is ErrBehind. That is so for every place, every lag and every guess;
// and where the replica has what is needed, there is a page.
func TestPagesOfALaggingReplica(t *testing.T) {
	l, b := startLagging(t)
	for _, layout := range []string{
		"rrrrr", // r: a message of the topic
		"oooo",
		"rooroor",
		"orroorr",
		"roooo",
		"oroo",
	} {
		topics := strings.Split(strings.NewReplacer("r", " room", "o", " other").Replace(layout)[1:], " ")
		count := uint64(len(topics))
		for replica := range count + 1 {
			l.set(topics, replica)
			for to := uint64(1); to <= count+2; to++ {
				for _, guess := range []uint64{0, 1, to / 2, to} {
					for _, limit := range []int{1, 20} {
						page, err := b.ReadBack(t.Context(), topic, to, guess, cluster.Budget{Messages: limit, Bytes: 1 << 20})
						what := fmt.Sprintf("%s, replica at %d, back from %d, guess %d, limit %d", layout, replica, to, guess, limit)
						l.judge(what, page, err, l.of(topic, to), limit)
					}
				}
			}
			for from := uint64(1); from <= count+1; from++ {
				page, err := b.Read(t.Context(), topic, from, cluster.Budget{Messages: 20, Bytes: 1 << 20})
				what := fmt.Sprintf("%s, replica at %d, from %d", layout, replica, from)
				l.judgeForward(what, page, err, slices.DeleteFunc(l.of(topic, count), func(s uint64) bool { return s < from }), from)
			}
		}
	}
}

func offsets(page []cluster.Message) (all []uint64) {
	for _, m := range page {
		all = append(all, m.Offset)
	}
	return all
}

// judge checks a page of ReadBack against the messages of the leader up to its end.
func (l *lagging) judge(what string, page []cluster.Message, err error, all []uint64, limit int) {
	l.t.Helper()
	got := offsets(page)
	behind := len(all) > 0 && l.replica < all[len(all)-1]
	switch {
	case errors.Is(err, cluster.ErrBehind) && behind:
	case err != nil:
		l.t.Errorf("%s: %v; there are %v", what, err, all)
	case len(got) > len(all), !slices.Equal(got, all[len(all)-len(got):]), len(got) == 0 && len(all) > 0, len(got) > limit+1:
		l.t.Errorf("%s: got %v of %v", what, got, all)
	}
}

// judgeForward checks a page of Read against the messages of the leader from there on.
func (l *lagging) judgeForward(what string, page []cluster.Message, err error, all []uint64, from uint64) {
	l.t.Helper()
	got := offsets(page)
	behind := len(all) > 0 && all[0] == from && l.replica < from
	switch {
	case errors.Is(err, cluster.ErrBehind) && behind:
	case behind:
		l.t.Errorf("%s: got %v, %v; want ErrBehind", what, got, err)
	case err != nil, len(got) > len(all), !slices.Equal(got, all[:len(got)]):
		l.t.Errorf("%s: got %v of %v, %v", what, got, all, err)
	}
}

// Backward scroll waits for a replica that is behind, and then has the whole page.
func TestBeforeWaitsForALaggingReplica(t *testing.T) {
	l, b := startLagging(t)
	l.set(slices.Repeat([]string{topic}, 10), 3)
	n := cluster.NewNode(b, cluster.Config{})
	defer n.Close()
	l.mu.Lock()
	l.then = func() { l.replica++ }
	l.mu.Unlock()
	at := cluster.Position{Epoch: laggingEpoch, Offset: 9, ID: laggingID(9)}
	var got []uint64
	for begin := false; !begin; {
		page, err := n.Before(t.Context(), topic, at, cluster.Budget{Messages: 4})
		if err != nil || page.Lost {
			t.Fatalf("in front of %+v: %+v, %v", at, page, err)
		}
		got = append(offsets(page.Messages), got...)
		at, begin = page.Position, page.Begin
	}
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reads < 5 {
		t.Errorf("%d reads; the replica was never behind", l.reads)
	}
}
