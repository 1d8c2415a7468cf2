package fanout

import (
	"unsafe"

	"github.com/fanloop-go/fanloop/engine/internal/frames"
)

// retained is the last values of a topic: for each key the message that was
// published last with Retain, the oldest first. Guarded by the shard's lock.
type retained struct {
	msgs   []kept         // without frames: replaced or removed
	keys   map[string]int // index in msgs, for each key; there is one
	weight int            // of all, as limits count it
}

// kept is a message that is retained.
type kept struct {
	Message
	home   *fan // in whose loop's ledger it is
	copied bool // its compressed copies are there too, and those to come
}

const (
	// retainedPart is the part of the memory budget that retained messages may have.
	retainedPart = 4
	// retainedSize is what a retained message takes besides its frame and its key, about.
	retainedSize = 2*int(unsafe.Sizeof(kept{})) + keySize
)

// uncounted reports whether k may get compressed copies that would not be in the ledger.
func (k *kept) uncounted(c *frames.Compressor) bool {
	return k.Frames != nil && !k.copied && k.Frames.MayPack(c)
}

// own is what k takes in the ledger besides its frames.
func (k *kept) own() int {
	n := retainedSize + k.ownKey()
	if k.copied {
		n += frames.CopiesSize
	}
	return n
}

// cost is what k takes in the ledger besides compressed copies; nothing if it has no frames.
func (k *kept) cost() int {
	if k.Frames == nil {
		return 0
	}
	return k.own() + k.Frames.Plain().Cost()
}

// set makes msg the value of its key.
func (r *retained) set(msg kept) {
	if len(r.msgs) > 2*len(r.keys)+indexFrom {
		r.compact()
	}
	r.keys[msg.Key] = len(r.msgs)
	r.msgs = append(r.msgs, msg)
	r.weight += msg.weight()
}

// value returns that of key; without frames if there is none.
func (r *retained) value(key string) kept {
	if r != nil {
		if i, ok := r.keys[key]; ok {
			return r.msgs[i]
		}
	}
	return kept{}
}

// remove removes the value of key, which there is.
func (r *retained) remove(key string) {
	i := r.keys[key]
	r.weight -= r.msgs[i].weight()
	r.msgs[i] = kept{}
	delete(r.keys, key)
}

// compact forgets where replaced messages were.
func (r *retained) compact() {
	msgs := make([]kept, 0, 2*len(r.keys))
	for _, msg := range r.msgs {
		if msg.Frames != nil {
			r.keys[msg.Key] = len(msgs)
			msgs = append(msgs, msg)
		}
	}
	r.msgs = msgs
}

// list returns the messages in the order of their publishes.
func (r *retained) list() []*Message {
	list := make([]*Message, 0, len(r.keys))
	for i := range r.msgs {
		if r.msgs[i].Frames != nil {
			list = append(list, &r.msgs[i].Message)
		}
	}
	return list
}
