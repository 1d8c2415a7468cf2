package api

import (
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Publish stores a message in a topic, in the name of a user. With a Target it edits, deletes
// or reacts to a message, whoever published that.
type Publish struct {
	Topic  string           `json:"topic"`
	User   string           `json:"user"`
	Name   string           `json:"name,omitzero"` // what people call the user, as names.Display shows it
	ID     string           `json:"id,omitzero"`   // empty: made of the idempotency key, or by chance
	Kind   string           `json:"kind,omitzero"`
	Target *protocol.Target `json:"target,omitzero"`
	Data   protocol.Data    `json:"data,omitzero"` // required, but for a deletion
}

// Published is where it is stored.
type Published struct {
	ID        string            `json:"id"`
	Pos       protocol.Position `json:"pos,omitzero"` // zero: the topic keeps no history
	Duplicate bool              `json:"duplicate,omitzero"`
}

// Broadcast stores a message in each of many topics.
type Broadcast struct {
	Topics []string      `json:"topics"`
	User   string        `json:"user"`
	Name   string        `json:"name,omitzero"`
	Kind   string        `json:"kind,omitzero"`
	Data   protocol.Data `json:"data"`
}

// Results are those of a Broadcast, in the order of its topics.
type Results struct {
	Results []Result `json:"results"`
}

// Result is that of one topic: where it is stored, or why not.
type Result struct {
	Topic     string     `json:"topic"`
	Published *Published `json:"published,omitzero"`
	Problem   *Problem   `json:"problem,omitzero"`
}

// History asks for a page: the last one, or that before or after a position.
type History struct {
	Topic  string             `json:"topic"`
	Before *protocol.Position `json:"before,omitzero"`
	After  *protocol.Position `json:"after,omitzero"`
	Limit  int                `json:"limit,omitzero"`
}

// Page is one of the history.
type Page struct {
	Epoch    string             `json:"epoch"`
	Messages []protocol.Message `json:"messages"`
	Back     *protocol.Position `json:"back,omitzero"`
	Forward  *protocol.Position `json:"forward,omitzero"`
	Begin    bool               `json:"begin,omitzero"`
	End      bool               `json:"end,omitzero"`
}

// Presence asks for users of a topic, those whose names are behind After.
type Presence struct {
	Topic string `json:"topic"`
	After string `json:"after,omitzero"`
	Limit int    `json:"limit,omitzero"`
}

// Members are users of a topic, in the order of their names. Count is of all.
type Members struct {
	Count   int               `json:"count"`
	Members []protocol.Member `json:"members"`
	End     bool              `json:"end,omitzero"`
}

// Topic asks for the state of a topic.
type Topic struct {
	Topic string `json:"topic"`
}

// TopicInfo is the state of a topic.
type TopicInfo struct {
	Topic       string            `json:"topic"`
	Subscribers int               `json:"subscribers"` // connections, of all nodes
	End         protocol.Position `json:"end"`         // of the last message
}

// User asks where a user is connected.
type User struct {
	User string `json:"user"`
}

// UserInfo are the connections of a user.
type UserInfo struct {
	User        string       `json:"user"`
	Connections []Connection `json:"connections"`
}

// Connection is one of a user.
type Connection struct {
	Node     string   `json:"node"`
	ID       uint64   `json:"id"` // on its node
	Address  string   `json:"address"`
	Encoding string   `json:"encoding"`
	Topics   []string `json:"topics"`
}

// Unsubscribe ends the subscriptions of a user to a topic.
type Unsubscribe struct {
	User  string `json:"user"`
	Topic string `json:"topic"`
}

// Disconnect closes the connections of a user.
type Disconnect struct {
	User string `json:"user"`
}

// Ended is how many subscriptions, or connections, were ended.
type Ended struct {
	Ended int `json:"ended"`
	// Silent names the nodes that count as ended because they were silent, within the last
	// hour. One that was only cut off has not done it yet.
	Silent []string `json:"silent,omitzero"`
}

// Revoke ends tokens before their time. One of the names is set.
type Revoke struct {
	User    string `json:"user,omitzero"`
	Session string `json:"session,omitzero"`
	Token   string `json:"token,omitzero"`
}

// Revoked says that all nodes have it.
type Revoked struct{}
