package protocol

import "encoding/json"

// Data is a JSON value that the service does not look into. From a decoder it is
// valid and has no white space. Nil: there is none.
type Data = json.RawMessage

// Position is a place in a topic, behind the message with this offset and id. It is
// one value: replace it as a whole. It converts to and from a position of package
// cluster.
type Position struct {
	Epoch  string `json:"epoch" cbor:"14,keyasint"`
	Offset uint64 `json:"offset,string" cbor:"5,keyasint"`
	ID     string `json:"id" cbor:"4,keyasint"`
}

// Target names an earlier message of the same topic.
type Target struct {
	Offset uint64 `json:"offset,string" cbor:"5,keyasint"`
	ID     string `json:"id" cbor:"4,keyasint"`
}

// Body is what a publisher says, and who it is. The service stores it.
type Body struct {
	User   string  `json:"user,omitzero" cbor:"8,keyasint,omitempty"`
	Name   string  `json:"name,omitzero" cbor:"9,keyasint,omitempty"`
	Kind   string  `json:"kind,omitzero" cbor:"10,keyasint,omitempty"`
	Target *Target `json:"target,omitzero" cbor:"11,keyasint,omitempty"`
	Data   Data    `json:"data,omitzero" cbor:"12,keyasint,omitempty"`
}

// Kinds of messages that the service knows. Others are the application's.
const (
	KindMessage = "" // an ordinary message
	KindEdit    = "edit"
	KindDelete  = "delete"
	KindReact   = "react"
	KindUnreact = "unreact"

	// KindUnreadable is of a message that is stored and cannot be shown. It has neither a
	// publisher nor data, and nobody publishes it.
	KindUnreadable = "unreadable"
)

// Changes reports whether publishes of a kind change an earlier message. They are not
// changed themselves.
func Changes(kind string) bool {
	switch kind {
	case KindEdit, KindDelete, KindReact, KindUnreact:
		return true
	}
	return false
}

// State says what became of the past.
type State string

// States of a connection and of a subscription.
const (
	Fresh   State = "fresh"   // the client brought nothing
	Resumed State = "resumed" // it goes on where it was
	Reset   State = "reset"   // it cannot: begin anew
)

// Marker is how far a user has read a topic.
type Marker struct {
	Pos     Position `json:"pos" cbor:"13,keyasint"`
	Version uint32   `json:"version" cbor:"28,keyasint"` // how often it was set back
}

// Limits are what a client is told, and what [Commands] bounds.
type Limits struct {
	Message    int `json:"message" cbor:"39,keyasint"`    // bytes of one message or POST
	Commands   int `json:"commands" cbor:"60,keyasint"`   // frames in one message
	Topics     int `json:"topics" cbor:"33,keyasint"`     // subscriptions of a connection
	Data       int `json:"data" cbor:"12,keyasint"`       // bytes of Data
	Rate       int `json:"rate" cbor:"61,keyasint"`       // commands in a second
	Burst      int `json:"burst" cbor:"62,keyasint"`      // commands at once
	Page       int `json:"page" cbor:"63,keyasint"`       // messages of a page
	Unread     int `json:"unread" cbor:"59,keyasint"`     // what is counted at most
	Duplicates int `json:"duplicates" cbor:"64,keyasint"` // milliseconds in which an id is recognized
}

// DefaultLimits returns the limits of a service that was not told others.
func DefaultLimits() Limits {
	return Limits{Message: 64 << 10, Commands: 64, Topics: 256, Data: 16 << 10, Rate: 20, Burst: 300, Page: 100, Unread: 1000, Duplicates: 60_000}
}
