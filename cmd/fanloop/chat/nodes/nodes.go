// Package nodes asks all nodes of the chat something, and returns when each that is
// known has answered.
//
// Nodes send beats, so that each knows the others. One that was not heard for
// [Config.ForgetAfter] is not waited for. A question that is not answered is sent again
// with each beat, and a node that has answered it sends the same answer again: what it
// asks for is done once. An order ([Nodes.Order]) is sent to a node that was silent as
// soon as it is heard again.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
	"github.com/fanloop-go/fanloop/engine/cluster"
	"github.com/fanloop-go/fanloop/loop"
)

const (
	inboxSize = 1024 // letters that wait; more are dropped, and sent again
	answering = 64   // questions that are answered at a time
	keptOf    = 256  // answers that are kept, to be sent again
	knownMost = 256  // addresses that are kept
)

// ErrUnconfirmed: not all nodes have answered in time. Ask again. The error is an
// UnconfirmedError.
var ErrUnconfirmed = errors.New("nodes: not all nodes have answered; try again")

// UnconfirmedError names the nodes that have not answered. It wraps ErrUnconfirmed.
type UnconfirmedError struct{ Nodes []string }

// Unconfirmed makes the error of names.
func Unconfirmed(names []string) *UnconfirmedError {
	slices.Sort(names)
	return &UnconfirmedError{names}
}

// Error says which nodes.
func (e *UnconfirmedError) Error() string {
	return fmt.Sprintf("%v (%s)", ErrUnconfirmed, strings.Join(e.Nodes, ", "))
}

// Unwrap returns ErrUnconfirmed.
func (e *UnconfirmedError) Unwrap() error { return ErrUnconfirmed }

// channel is where nodes talk.
var channel = cluster.Channel{Kind: "chat-nodes", Topic: "all"}

// Config is how Nodes work. The zero value of Every and ForgetAfter means its default.
type Config struct {
	Bus cluster.Bus
	// Name is what others call this node.
	Name string
	// Address is where clients reach this node; empty: they are not told.
	Address string
	// Answer answers a question of another node, or of this one. It may wait.
	Answer func(question []byte) []byte
	// OnPanic is called when Answer panics. The question has an empty answer then, and the node
	// goes on.
	OnPanic func(*loop.PanicError)
	// OnLate is called when this node sent no beat for so long, nearly ForgetAfter, that others
	// may count it as ended, as when the process was stopped: an Order may have been answered
	// without it. Several goroutines call it, again and again until a beat is sent.
	OnLate func()
	// Every is the time between two beats (1 s).
	Every time.Duration
	// Settle is how long a node that began waits for what others say before it asks them:
	// more than Every (0: not at all, where there are no others).
	Settle time.Duration
	// ForgetAfter is how long a silent node is waited for (10 s).
	ForgetAfter time.Duration
}

// Answer is that of one node.
type Answer struct {
	Node string
	Body []byte
}

// letter is what nodes send. To is empty for all.
type letter struct {
	Kind   kind   `cbor:"1,keyasint"`
	From   ID     `cbor:"2,keyasint"`
	Name   string `cbor:"3,keyasint"`
	To     ID     `cbor:"4,keyasint"`
	Number uint64 `cbor:"5,keyasint,omitempty"`
	Body   []byte `cbor:"6,keyasint,omitempty"`
	// Address is where clients may go; empty: not to this node, or not any more.
	Address string `cbor:"7,keyasint,omitempty"`
}

type kind uint8

const (
	beat kind = 1 + iota
	bye
	question
	reply
)

// Nodes are the others, as this node knows them. Methods may be called by any goroutine.
type Nodes struct {
	config  Config // immutable
	id      ID     // immutable
	inbox   chan []byte
	places  chan struct{} // one element for each question that is answered
	stop    chan struct{}
	work    sync.WaitGroup
	unhear  func()
	closing sync.Once
	settled time.Time    // immutable
	began   time.Time    // immutable
	said    atomic.Int64 // when the last beat was sent, in nanoseconds since began

	mu      sync.Mutex // guards all below
	address string     // that is announced
	known   []string   // all addresses that were announced, sorted
	others  Roster[peer, *ask]
	done    []key // of answers, the oldest first
	kept    map[key][]byte
	debts   debts
}

// peer is what is known of a node.
type peer struct{ name, address string }

// key names a question.
type key struct {
	from   ID
	number uint64
}

// ask is an Ask or Order that waits.
type ask struct {
	body    []byte
	answers []Answer
}

// New begins to talk to others. Close it before the bus.
func New(c Config) (*Nodes, error) {
	if c.OnPanic == nil {
		c.OnPanic = func(*loop.PanicError) {}
	}
	if c.OnLate == nil {
		c.OnLate = func() {}
	}
	if c.Every <= 0 {
		c.Every = time.Second
	}
	if c.ForgetAfter <= 0 {
		c.ForgetAfter = 10 * time.Second
	}
	n := &Nodes{
		config: c, inbox: make(chan []byte, inboxSize), places: make(chan struct{}, answering), stop: make(chan struct{}),
		settled: time.Now().Add(c.Settle), began: time.Now(), address: c.Address, id: NewID(), others: NewRoster[peer, *ask](), kept: make(map[key][]byte), debts: make(debts),
	}
	var err error
	if n.unhear, err = c.Bus.Listen(channel, n); err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	n.work.Go(n.run)
	return n, nil
}

// Close says goodbye, and returns when nothing is answered any more.
func (n *Nodes) Close() {
	n.closing.Do(func() {
		close(n.stop)
		n.unhear()
		n.work.Wait()
		n.send(&letter{Kind: bye})
	})
}

// Names are those of all nodes that are known, this one first.
func (n *Nodes) Names() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := []string{n.config.Name}
	for p := range n.others.All() {
		all = append(all, p.name)
	}
	return all
}

// Addresses are those of the other nodes that take clients, sorted.
func (n *Nodes) Addresses() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for p := range n.others.All() {
		if p.address != "" {
			all = append(all, p.address)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Known are the addresses of all nodes since this one began, those that have ended too,
// sorted.
func (n *Nodes) Known() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.known)
}

// learn keeps an address. Under mu.
func (n *Nodes) learn(address string) {
	i, known := slices.BinarySearch(n.known, address)
	if address != "" && !known && len(n.known) < knownMost {
		n.known = slices.Insert(n.known, i, address)
	}
}

// Withdraw has other nodes forget the address of this one: no client should come any more.
func (n *Nodes) Withdraw() {
	n.mu.Lock()
	n.address = ""
	n.mu.Unlock()
	n.send(&letter{Kind: beat}) // and with each beat
}

// Ask returns the answers of all nodes, this one's first. When ctx ends before, it
// returns those that there are, and an UnconfirmedError.
func (n *Nodes) Ask(ctx context.Context, body []byte) ([]Answer, error) {
	answers, _, missing := n.ask(ctx, body)
	return answers, named(missing)
}

// Order is Ask for what is to be done. A node that does not answer, or that was forgotten
// because it was silent, is sent it as soon as it is heard again, within an hour.
func (n *Nodes) Order(ctx context.Context, body []byte) ([]Answer, error) {
	answers, number, missing := n.ask(ctx, body)
	n.mu.Lock()
	n.debts.owe(number, body, missing)
	n.mu.Unlock()
	return answers, named(missing)
}

// Silent are the names of the nodes that were forgotten because they were silent, sorted, for
// an hour: an Order was answered without them. A node that was stopped or cut off serves its
// clients when it is back, before it has the order. One that is heard under its name again
// is not among them.
func (n *Nodes) Silent() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []string
	for _, one := range n.debts {
		if one.silent {
			all = append(all, one.name)
		}
	}
	for p := range n.others.All() {
		all = slices.DeleteFunc(all, func(name string) bool { return name == p.name })
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func named(missing map[ID]peer) error {
	if len(missing) == 0 {
		return nil
	}
	var names []string
	for _, p := range missing {
		names = append(names, p.name)
	}
	return Unconfirmed(names)
}

// ask sends a question, and returns the answers and the nodes that gave none before ctx
// ended.
func (n *Nodes) ask(ctx context.Context, body []byte) (answers []Answer, number uint64, missing map[ID]peer) {
	n.settle(ctx)
	n.mu.Lock()
	number, wait := n.others.Expect(&ask{body: body})
	n.mu.Unlock()
	if wait != nil {
		n.send(&letter{Kind: question, Number: number, Body: body})
	}
	answers = []Answer{{n.config.Name, n.answer(body)}}
	if wait == nil {
		return answers, number, nil
	}
	select {
	case <-wait.Done:
	case <-ctx.Done():
	case <-n.stop:
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return append(answers, wait.For.answers...), number, n.others.GiveUp(number, wait)
}

// settle waits until the others have been heard.
func (n *Nodes) settle(ctx context.Context) {
	wait := time.Until(n.settled)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case <-n.stop:
	}
}

// Late reports whether others may count this node as ended, after OnLate has returned. Ask
// before something is handed on that may have come later than an Order: orders to a node that
// is silent come with the first beats after it.
func (n *Nodes) Late() bool {
	if time.Since(n.began)-time.Duration(n.said.Load()) < n.config.ForgetAfter*19/20 {
		return false
	}
	n.mu.Lock()
	alone := n.others.Len() == 0
	n.mu.Unlock()
	if !alone {
		n.config.OnLate()
	}
	return !alone
}

// Receive implements cluster.Receiver.
func (n *Nodes) Receive(data []byte) {
	select {
	case n.inbox <- data:
	default: // it is sent again
	}
}

// Gap implements cluster.Receiver. What was missed is sent again.
func (n *Nodes) Gap(error) {}

func (n *Nodes) send(l *letter) {
	n.mu.Lock()
	l.From, l.Name, l.Address = n.id, n.config.Name, n.address
	n.mu.Unlock()
	if data, err := cbor.Marshal(l); err == nil {
		_ = n.config.Bus.Send(channel, data) // what is not sent is sent again
	}
}

// run takes letters and sends beats, on one goroutine.
func (n *Nodes) run() {
	tick := time.NewTicker(n.config.Every)
	defer tick.Stop()
	n.beat()
	for {
		select {
		case <-n.stop:
			return
		case data := <-n.inbox:
			n.take(data)
		case <-tick.C:
			n.beat()
		}
	}
}

// beat says that this node is there, forgets who is not, and asks again.
func (n *Nodes) beat() {
	n.Late()
	now := time.Since(n.began)
	n.mu.Lock()
	n.debts.lose(n.others.ForgetSilent(n.config.ForgetAfter))
	letters := []*letter{{Kind: beat}}
	for number, wait := range n.others.Waits() {
		letters = append(letters, &letter{Kind: question, Number: number, Body: wait.For.body})
	}
	letters = append(letters, n.debts.due(n.others.Knows)...)
	n.mu.Unlock()
	for _, l := range letters {
		n.send(l)
	}
	n.said.Store(int64(now))
}

// take handles a letter.
func (n *Nodes) take(data []byte) {
	var l letter
	if cbor.Unmarshal(data, &l) != nil || l.From == n.id {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if l.Kind == bye {
		n.others.Forget(l.From)
		delete(n.debts, l.From)
		return
	}
	isNew := n.others.Hear(l.From, peer{l.Name, l.Address})
	n.learn(l.Address)
	switch {
	case l.Kind == beat && isNew:
		n.work.Go(n.beat) // so that it knows this one at once, and what is to be done
	case l.Kind == question && (l.To == ID{} || l.To == n.id):
		n.questionLocked(&l)
	case l.Kind == reply && l.To == n.id:
		n.debts.settle(l.From, l.Number)
		if wait := n.others.Confirm(l.Number, l.From); wait != nil { // it ends, but is read under mu
			wait.For.answers = append(wait.For.answers, Answer{l.Name, l.Body})
		}
	}
}

// questionLocked answers a question once, and sends the answer as often as it is asked.
func (n *Nodes) questionLocked(l *letter) {
	k := key{l.From, l.Number}
	if body, asked := n.kept[k]; asked {
		if body != nil {
			n.work.Go(func() { n.send(&letter{Kind: reply, To: k.from, Number: k.number, Body: body}) })
		}
		return
	}
	select {
	case n.places <- struct{}{}:
	default:
		return // it is asked again
	}
	n.keepLocked(k)
	n.work.Go(func() {
		defer func() { <-n.places }()
		body := append([]byte{}, n.answer(l.Body)...)
		n.mu.Lock()
		if _, still := n.kept[k]; still {
			n.kept[k] = body
		}
		n.mu.Unlock()
		n.send(&letter{Kind: reply, To: k.from, Number: k.number, Body: body})
	})
}

// answer answers a question. A panic in it ends neither this node nor, where all are asked,
// the others.
func (n *Nodes) answer(question []byte) (body []byte) {
	err := survive.Do(func() error { body = n.config.Answer(question); return nil })
	if end, panicked := errors.AsType[*loop.PanicError](err); panicked {
		n.config.OnPanic(end)
	}
	return body
}

// keepLocked notes a question, in place of the oldest one.
func (n *Nodes) keepLocked(k key) {
	n.kept[k] = nil
	n.done = append(n.done, k)
	if len(n.done) > keptOf {
		delete(n.kept, n.done[0])
		n.done = n.done[1:]
	}
}
