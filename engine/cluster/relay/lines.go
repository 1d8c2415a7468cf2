package relay

import (
	"errors"
	"time"

	"github.com/fanloop-go/fanloop/engine/cluster"
)

// lines are the topics that a relay listens to. Owned by its goroutine.
type lines struct {
	relay   *Relay
	all     map[string]*line
	endings []ending // in the order of their times
	retries []*line  // to which the bus did not listen
	retry   time.Time
}

// ending is a line without subscribers.
type ending struct {
	line *line
	at   time.Time
}

// retryAfter is the time after which the bus is asked again to listen.
const retryAfter = time.Second

// update carries out the changes, and ends what has lingered long enough. It returns when
// there is something to do next; zero: never.
func (ls *lines) update(notes map[string]note, now time.Time) (next time.Time) {
	for topic, n := range notes {
		if n.open {
			ls.open(topic, n.at)
		} else {
			ls.leave(topic, now)
		}
	}
	ls.listenAgain(now)
	ls.end(now)
	ls.relay.listened.Store(int64(len(ls.all) - len(ls.retries)))
	if len(ls.endings) > 0 {
		next = ls.endings[0].at
	}
	if len(ls.retries) > 0 {
		next = earlier(next, ls.retry)
	}
	return next
}

// open listens to a topic that has subscribers since a time.
func (ls *lines) open(topic string, since time.Time) {
	if l := ls.all[topic]; l != nil {
		ls.revive(l)
		return
	}
	if ls.relay.local(topic) || cluster.CheckTopic(topic) != nil {
		return // it stays on this server; a publish says so
	}
	l := &line{relay: ls.relay, topic: topic, since: since}
	ls.all[topic] = l
	ls.listen(l)
}

// revive takes back the end of a line.
func (ls *lines) revive(l *line) {
	if !l.end.IsZero() {
		l.end = time.Time{}
		ls.relay.quiet.Add(-1)
	}
}

func (ls *lines) listen(l *line) {
	stop, err := ls.relay.bus.Listen(cluster.Channel{Kind: ls.relay.config.Name, Topic: l.topic}, l)
	switch {
	case err == nil:
		l.stop = stop
	case !errors.Is(err, cluster.ErrClosed):
		if len(ls.retries) == 0 {
			ls.retry = time.Now().Add(retryAfter)
		}
		ls.retries = append(ls.retries, l)
	}
}

// listenAgain asks the bus again for what it did not listen to.
func (ls *lines) listenAgain(now time.Time) {
	if len(ls.retries) == 0 || ls.retry.After(now) {
		return
	}
	retries := ls.retries
	ls.retries = nil
	for _, l := range retries {
		if ls.all[l.topic] == l {
			ls.listen(l)
		}
	}
}

// leave notes that a topic has lost its last subscriber.
func (ls *lines) leave(topic string, now time.Time) {
	l := ls.all[topic]
	if l == nil {
		return
	}
	ls.revive(l) // it may have had subscribers since the last note
	l.end = now.Add(ls.relay.config.Linger)
	ls.endings = append(ls.endings, ending{l, l.end})
	ls.relay.quiet.Add(1)
}

// end stops listening to the lines whose time is over.
func (ls *lines) end(now time.Time) {
	n := 0
	for ; n < len(ls.endings) && !ls.endings[n].at.After(now); n++ {
		e := ls.endings[n]
		ls.endings[n] = ending{}
		if e.line.end.Equal(e.at) && ls.all[e.line.topic] == e.line {
			delete(ls.all, e.line.topic)
			ls.relay.quiet.Add(-1)
			e.line.close()
		}
	}
	ls.endings = ls.endings[n:]
}

// stopAll stops listening.
func (ls *lines) stopAll() {
	for _, l := range ls.all {
		l.close()
	}
	clear(ls.all)
	ls.relay.listened.Store(0)
	ls.relay.quiet.Store(0)
}
