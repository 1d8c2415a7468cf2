package protocol

// Ref ties an answer to its command. 0: none.
type Ref uint32

// Answers returns r, for all frames that have one.
func (r Ref) Answers() Ref { return r }

// Version is the one that this package speaks.
const Version = 1

// Command is what a client sends: a pointer to one of the types below.
type Command interface {
	Answers() Ref // the Ref that the answer has
	command() kind
}

// Connect is the first command of a connection.
type Connect struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Version int    `json:"version" cbor:"28,keyasint"`
	Token   string `json:"token,omitzero" cbor:"27,keyasint,omitempty"`
	User    string `json:"user,omitzero" cbor:"8,keyasint,omitempty"` // development mode only
	Session string `json:"session,omitzero" cbor:"29,keyasint,omitempty"`
	Client  string `json:"client,omitzero" cbor:"30,keyasint,omitempty"` // name and version of the library
}

// Subscribe begins a subscription, in place of the one that the topic has.
type Subscribe struct {
	Ref      `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic    string    `json:"topic" cbor:"2,keyasint"`
	Attempt  uint32    `json:"attempt" cbor:"3,keyasint"`
	Mode     Mode      `json:"mode,omitzero" cbor:"26,keyasint,omitempty"`
	Token    string    `json:"token,omitzero" cbor:"27,keyasint,omitempty"`
	Pos      *Position `json:"pos,omitzero" cbor:"13,keyasint,omitempty"`
	Last     int       `json:"last,omitzero" cbor:"25,keyasint,omitempty"`
	Presence bool      `json:"presence,omitzero" cbor:"53,keyasint,omitempty"`
	Kinds    []string  `json:"kinds,omitzero" cbor:"54,keyasint,omitempty"`
}

// Mode is what a subscription gets.
type Mode string

// Modes of a subscription.
const (
	Live    Mode = "" // messages; "live" is the same
	Passive Mode = "passive"
)

// Unsubscribe ends the subscription of an attempt.
type Unsubscribe struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string `json:"topic" cbor:"2,keyasint"`
	Attempt uint32 `json:"attempt" cbor:"3,keyasint"`
}

// Publish stores a message.
type Publish struct {
	Ref    `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic  string  `json:"topic" cbor:"2,keyasint"`
	ID     string  `json:"id" cbor:"4,keyasint"`
	Kind   string  `json:"kind,omitzero" cbor:"10,keyasint,omitempty"`
	Target *Target `json:"target,omitzero" cbor:"11,keyasint,omitempty"`
	Data   Data    `json:"data,omitzero" cbor:"12,keyasint,omitempty"`
}

// History asks for a page: the last one, or that before or after a position.
type History struct {
	Ref    `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic  string    `json:"topic" cbor:"2,keyasint"`
	Before *Position `json:"before,omitzero" cbor:"23,keyasint,omitempty"`
	After  *Position `json:"after,omitzero" cbor:"24,keyasint,omitempty"`
	Limit  int       `json:"limit,omitzero" cbor:"22,keyasint,omitempty"`
}

// GetPresence asks for a page of the users of a topic. Its type is presence.
type GetPresence struct {
	Ref   `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic string `json:"topic" cbor:"2,keyasint"`
	After string `json:"after,omitzero" cbor:"24,keyasint,omitempty"`
	Limit int    `json:"limit,omitzero" cbor:"22,keyasint,omitempty"`
}

// Set sets a keyed value, or takes it away if there is no data.
type Set struct {
	Ref   `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic string `json:"topic" cbor:"2,keyasint"`
	Kind  string `json:"kind" cbor:"10,keyasint"`
	Key   string `json:"key,omitzero" cbor:"57,keyasint,omitempty"` // empty: the user's name
	Data  Data   `json:"data,omitzero" cbor:"12,keyasint,omitempty"`
}

// Kinds of keyed values whose key is always the user's name.
const (
	KindTyping = "typing"
	KindRead   = "read"
)

// Read moves the user's marker forward.
type Read struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string    `json:"topic" cbor:"2,keyasint"`
	Pos     *Position `json:"pos" cbor:"13,keyasint"`
	Version uint32    `json:"version" cbor:"28,keyasint"`
}

// Unread sets the user's marker back, on purpose.
type Unread struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string    `json:"topic" cbor:"2,keyasint"`
	Pos     *Position `json:"pos" cbor:"13,keyasint"`
	Version uint32    `json:"version" cbor:"28,keyasint"`
}

// Refresh brings a new token: of the connection, or of a topic.
type Refresh struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string `json:"topic,omitzero" cbor:"2,keyasint,omitempty"`
	Attempt uint32 `json:"attempt,omitzero" cbor:"3,keyasint,omitempty"`
	Token   string `json:"token" cbor:"27,keyasint"`
}

// Ping asks for a Pong.
type Ping struct {
	Ref `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
}

// kind is the type of a frame, as JSON and CBOR have it.
type kind struct {
	name   string
	number byte
}

func (*Connect) command() kind     { return kind{"connect", 1} }
func (*Subscribe) command() kind   { return kind{"subscribe", 2} }
func (*Unsubscribe) command() kind { return kind{"unsubscribe", 3} }
func (*Publish) command() kind     { return kind{"publish", 4} }
func (*History) command() kind     { return kind{"history", 5} }
func (*GetPresence) command() kind { return kind{"presence", 6} }
func (*Set) command() kind         { return kind{"set", 7} }
func (*Read) command() kind        { return kind{"read", 8} }
func (*Unread) command() kind      { return kind{"unread", 9} }
func (*Refresh) command() kind     { return kind{"refresh", 10} }
func (*Ping) command() kind        { return kind{"ping", 11} }

// newCommand makes one of each type.
var newCommand = []func() Command{
	func() Command { return new(Connect) }, func() Command { return new(Subscribe) },
	func() Command { return new(Unsubscribe) }, func() Command { return new(Publish) },
	func() Command { return new(History) }, func() Command { return new(GetPresence) },
	func() Command { return new(Set) }, func() Command { return new(Read) },
	func() Command { return new(Unread) }, func() Command { return new(Refresh) },
	func() Command { return new(Ping) },
}
