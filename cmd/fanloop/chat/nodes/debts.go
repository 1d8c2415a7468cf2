package nodes

import (
	"slices"
	"time"
)

const (
	owedFor  = time.Hour // orders for a node that is silent
	owedMost = 4096      // orders for one node; the oldest are dropped
	atOnce   = 64        // orders that are sent again with one beat
)

// debts are the orders of this node that others have not confirmed, and that nobody waits
// for any more. Its owner guards it.
type debts map[ID]*debtor

// debtor is a node that is silent, or has orders to confirm.
type debtor struct {
	name   string
	since  time.Time // when it was given up
	silent bool      // what is ordered now is owed to it, too
	orders []owed    // the oldest first
}

type owed struct {
	number uint64
	body   []byte
}

// of returns what a node owes.
func (d debts) of(id ID, name string) *debtor {
	if d[id] == nil {
		d[id] = &debtor{name: name, since: time.Now()}
	}
	return d[id]
}

// lose notes that nodes are silent, and forgets those that were so for too long.
func (d debts) lose(gone map[ID]peer) {
	for id, p := range gone {
		d.of(id, p.name).silent = true
	}
	for id, one := range d {
		if time.Since(one.since) > owedFor {
			delete(d, id)
		}
	}
}

// owe notes an order for those that are missing, and for those that are silent.
func (d debts) owe(number uint64, body []byte, missing map[ID]peer) {
	for id, p := range missing {
		d.of(id, p.name)
	}
	for id, one := range d {
		if _, is := missing[id]; !is && !one.silent {
			continue
		}
		if len(one.orders) == owedMost {
			one.orders = one.orders[1:]
		}
		one.orders = append(one.orders, owed{number, body})
	}
}

// due returns letters with orders for the nodes that are heard again.
func (d debts) due(heard func(ID) bool) (letters []*letter) {
	for id, one := range d {
		if !heard(id) {
			continue
		}
		if one.silent = false; len(one.orders) == 0 {
			delete(d, id)
		}
		for _, o := range one.orders[:min(len(one.orders), atOnce)] {
			letters = append(letters, &letter{Kind: question, To: id, Number: o.number, Body: o.body})
		}
	}
	return letters
}

// settle notes that a node has carried an order out.
func (d debts) settle(id ID, number uint64) {
	if one := d[id]; one != nil {
		one.orders = slices.DeleteFunc(one.orders, func(o owed) bool { return o.number == number })
	}
}
