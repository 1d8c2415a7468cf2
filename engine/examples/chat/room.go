package main

import (
	"encoding/json"
	"log"
	"maps"
	"slices"
	"strconv"
	"sync"

	"github.com/fanloop-go/fanloop/engine"
)

const history = 50 // lines that a room keeps

// event is what a client gets: something said, a change of who is there, or a loss.
type event struct {
	From   string   `json:"from,omitempty"`
	Text   string   `json:"text,omitempty"`
	Joined string   `json:"joined,omitempty"`
	Left   string   `json:"left,omitempty"`
	Here   []string `json:"here,omitempty"`
	Missed uint64   `json:"missed,omitempty"`
}

// room is a topic and who is in it.
type room struct {
	topic *engine.Topic // immutable

	mu    sync.Mutex
	here  map[string]int // connections of each user; guarded by mu
	lines int            // said so far; guarded by mu
}

// publish sends e to everybody in the room. With a key, who enters later gets it too,
// until another event of that key takes its place.
func (r *room) publish(e event, key string) {
	_, err := r.topic.Publish(engine.Message{Op: engine.Text, Data: encode(e), Key: key, Retain: key != ""})
	if err != nil {
		log.Println("some did not get an event:", err)
	}
}

func encode(e event) []byte {
	data, _ := json.Marshal(e) // strings and numbers always do
	return data
}

// count changes how many connections a user has in the room. It tells the room who is
// there if that has changed.
func (r *room) count(user string, change int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.here[user]
	r.here[user] += change
	switch {
	case before == 0:
		r.publish(event{Joined: user}, "")
	case r.here[user] == 0:
		delete(r.here, user)
		r.publish(event{Left: user}, "")
	default:
		return
	}
	r.publish(event{Here: r.names()}, "here")
}

// names lists who is there. Under mu.
func (r *room) names() []string { return slices.Sorted(maps.Keys(r.here)) }

// begin enters the room: everybody hears of it, and ws gets the last lines and who is
// there.
func (v *visit) begin(ws *engine.WebSocket) {
	_ = ws.CloseAt(v.end, engine.StatusPolicyViolation, "the session has ended")
	v.room.count(v.user, 1)
	_ = ws.Subscribe(v.room.topic.Name()) // the connection is new: it is open and has room
}

func (v *visit) leave() { v.room.count(v.user, -1) }

// say publishes a line. It replaces the one that came history lines before.
func (v *visit) say(text []byte) {
	if len(text) == 0 {
		return
	}
	v.room.mu.Lock()
	defer v.room.mu.Unlock()
	v.room.publish(event{From: v.user, Text: string(text)}, strconv.Itoa(v.room.lines%history))
	v.room.lines++
}

// catchUp tells a slow reader how much it has missed, and who is there by now.
func (v *visit) catchUp(ws *engine.WebSocket, lost uint64) {
	v.room.mu.Lock()
	defer v.room.mu.Unlock()
	_ = ws.Send(engine.Text, encode(event{Missed: lost, Here: v.room.names()}))
}
