package cluster

import "time"

// Retention says how much of a topic the store keeps. A node has the last messages of a
// topic in memory, for subscribers who are a little behind, and longer than that: what is
// over these limits is read from the store, if it is there, for pages of history and for
// subscribers who come back. A subscriber who is there gets each message, however slowly.
type Retention struct {
	Messages int           // the last ones; 0: all
	Age      time.Duration // since a message was stored; 0: any
}

// retained leaves out those of messages, which are of the ring or of old, that are over the
// limits. Under mu.
func (f *feed) retained(messages []Message) []Message {
	n := len(messages)
	if n == 0 || f.keeps == (Retention{}) {
		return messages
	}
	over := 0
	if most := f.keeps.Messages; most > 0 {
		over = min(n, max(0, n+f.newer(messages[n-1].Offset)-most))
	}
	if age := f.keeps.Age; age > 0 {
		for oldest := time.Now().Add(-age); over < n && messages[over].Time.Before(oldest); {
			over++
		}
	}
	return messages[over:]
}

// newer counts the messages in memory behind an offset. Under mu.
func (f *feed) newer(offset uint64) int {
	count := len(f.ring.messages) - f.ring.find(offset+1)
	for i := f.old.find(offset + 1); i < len(f.old.messages) && f.old.messages[i].Offset <= f.ring.base.Offset; i++ {
		count++
	}
	return count
}
