package session_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/session"
	"github.com/fanloop-go/fanloop/internal/seeds"
)

// Whatever comes, in whatever order it is answered: each command has one answer,
// nothing is sent behind the end, and nothing stays open behind it.
func TestAnswersByChance(t *testing.T) {
	seeds.Each(t, 100, func(t *testing.T, seed uint64) { playAnswers(t, rand.New(rand.NewPCG(seed, 0))) })
}

func playAnswers(t *testing.T, r *rand.Rand) {
	w := newWorld(t)
	open := map[protocol.Ref]int{}
	w.sent = func(f protocol.Frame) {
		if a, is := f.(interface{ Answers() protocol.Ref }); is && a.Answers() != 0 {
			open[a.Answers()]--
		}
	}
	w.s.Do(&protocol.Connect{Version: 1})
	end := protocol.Ref(r.IntN(300))
	for ref := protocol.Ref(1); ref <= 150; ref++ {
		if ref == end {
			w.s.Close(protocol.Draining, "")
		}
		c := anyCommand(r, ref)
		open[ref]++
		_, subscribes := c.(*protocol.Subscribe)
		w.atOnce = r.IntN(5) == 0 || subscribes && r.IntN(2) == 0
		w.s.Do(c)
		w.atOnce = false
		disturb(w, r)
	}
	for len(w.calls) > 0 {
		answerAny(w, r)
	}
	checkAnswers(t, w, open)
}

// anyCommand is one of the table, about one of two topics, with another ref and
// attempt. It is in order, so a connection does not end by it.
func anyCommand(r *rand.Rand, ref protocol.Ref) protocol.Command {
	row := rows[r.IntN(len(rows))].command
	v := reflect.New(reflect.TypeOf(row).Elem())
	v.Elem().Set(reflect.ValueOf(row).Elem())
	v.Elem().FieldByName("Ref").SetUint(uint64(ref))
	if topic := v.Elem().FieldByName("Topic"); topic.IsValid() && topic.String() != "" && r.IntN(3) == 0 {
		topic.SetString("private:b")
	}
	if attempt := v.Elem().FieldByName("Attempt"); attempt.IsValid() && attempt.Uint() != 0 {
		attempt.SetUint(uint64(ref) - uint64(r.IntN(2))*uint64(r.IntN(int(ref))))
	}
	return v.Interface().(protocol.Command)
}

// disturb does what happens beside the commands.
func disturb(w *world, r *rand.Rand) {
	switch r.IntN(20) {
	case 0:
		w.s.Unsubscribe("a", 0, protocol.Forbidden)
	case 1:
		w.setRules(map[rules.Right]rules.Who{rules.Right(1 << r.IntN(9)): rules.Granted})
		w.s.Review()
	case 2:
		w.setRules(nil)
	case 3:
		w.now = w.now.Add(time.Second)
		w.s.Expire()
	case 4, 5, 6, 7, 8, 9:
		if len(w.calls) > 0 {
			c := w.calls[len(w.calls)-1]
			c.grant = &session.Grant{Rights: rules.AllRights, Expires: w.now.Add(time.Duration(r.IntN(5)) * time.Second)}
		}
		answerAny(w, r)
	}
}

func checkAnswers(t *testing.T, w *world, open map[protocol.Ref]int) {
	ended := -1
	for i, what := range w.got {
		if len(what) > 5 && what[:5] == "close" {
			ended = i
		}
	}
	for ref, n := range open {
		if n < 0 || n > 0 && ended < 0 {
			t.Errorf("ref %d: %d answers", ref, 1-n)
		}
	}
	if ended < 0 {
		return
	}
	if len(w.live) != 0 || w.opened != 0 {
		t.Errorf("%d are live behind the end, %d open", len(w.live), w.opened)
	}
	for _, what := range w.got[ended+1:] {
		if what[:4] != "stop" {
			t.Errorf("behind the end: %s", what)
		}
	}
}
