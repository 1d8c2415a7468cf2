package protocol

// Frame is what the service sends: a pointer to one of the types below.
type Frame interface {
	frame() kind
}

// Connected answers a Connect.
type Connected struct {
	Ref         `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Version     int      `json:"version" cbor:"28,keyasint"`
	State       State    `json:"state" cbor:"15,keyasint"`
	Session     string   `json:"session" cbor:"29,keyasint"`
	User        string   `json:"user" cbor:"8,keyasint"`
	Name        string   `json:"name,omitzero" cbor:"9,keyasint,omitempty"`
	Time        int64    `json:"time" cbor:"7,keyasint"`
	TTL         int64    `json:"ttl,omitzero" cbor:"31,keyasint,omitempty"`
	Ping        int64    `json:"ping" cbor:"32,keyasint"`
	Development bool     `json:"development,omitzero" cbor:"34,keyasint,omitempty"`
	Topics      []string `json:"topics,omitzero" cbor:"33,keyasint,omitempty"`
	Addresses   []string `json:"addresses,omitzero" cbor:"65,keyasint,omitempty"` // of nodes
	Limits      Limits   `json:"limits" cbor:"35,keyasint"`
}

// Subscribed answers a Subscribe.
type Subscribed struct {
	Ref      `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic    string     `json:"topic" cbor:"2,keyasint"`
	Attempt  uint32     `json:"attempt" cbor:"3,keyasint"`
	State    State      `json:"state" cbor:"15,keyasint"`
	TTL      int64      `json:"ttl,omitzero" cbor:"31,keyasint,omitempty"`
	Pos      *Position  `json:"pos,omitzero" cbor:"13,keyasint,omitempty"`
	Messages []Message  `json:"messages,omitzero" cbor:"16,keyasint,omitempty"`
	Back     *Position  `json:"back,omitzero" cbor:"18,keyasint,omitempty"`
	Begin    bool       `json:"begin,omitzero" cbor:"20,keyasint,omitempty"`
	More     bool       `json:"more,omitzero" cbor:"17,keyasint,omitempty"`
	Count    uint64     `json:"count,omitzero" cbor:"43,keyasint,omitempty"`
	Marker   *Marker    `json:"marker,omitzero" cbor:"58,keyasint,omitempty"`
	Unread   *int       `json:"unread,omitzero" cbor:"59,keyasint,omitempty"` // nil: not known
	Presence *Presence  `json:"presence,omitzero" cbor:"53,keyasint,omitempty"`
	Kinds    []KeyedSet `json:"kinds,omitzero" cbor:"54,keyasint,omitempty"`
}

// Presence is who is in a topic when a subscription begins.
type Presence struct {
	Level  string   `json:"level" cbor:"45,keyasint"`
	Seq    uint64   `json:"seq" cbor:"44,keyasint"`
	Count  int      `json:"count" cbor:"43,keyasint"`
	Users  []string `json:"users,omitzero" cbor:"46,keyasint,omitempty"`
	Sample []string `json:"sample,omitzero" cbor:"47,keyasint,omitempty"`
}

// KeyedSet has the keyed values of one kind when a subscription begins.
type KeyedSet struct {
	Kind     string  `json:"kind" cbor:"10,keyasint"`
	Lifetime int64   `json:"lifetime" cbor:"55,keyasint"`
	Values   []Value `json:"values" cbor:"56,keyasint"`
	More     bool    `json:"more,omitzero" cbor:"17,keyasint,omitempty"` // there are too many; the latest are here
}

// Value is the value of a key; it is gone if there is no data.
type Value struct {
	Key  string `json:"key" cbor:"57,keyasint"`
	Data Data   `json:"data,omitzero" cbor:"12,keyasint,omitempty"`
}

// Unsubscribed answers an Unsubscribe, or says that the service ended a subscription.
type Unsubscribed struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string `json:"topic" cbor:"2,keyasint"`
	Attempt uint32 `json:"attempt" cbor:"3,keyasint"`
	Code    Code   `json:"code,omitzero" cbor:"36,keyasint,omitempty"`
	Retry   Retry  `json:"retry,omitzero" cbor:"37,keyasint,omitempty"`
	Delay   int64  `json:"delay,omitzero" cbor:"38,keyasint,omitempty"`
	Message string `json:"message,omitzero" cbor:"39,keyasint,omitempty"`
}

// Published answers a Publish.
type Published struct {
	Ref       `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic     string    `json:"topic" cbor:"2,keyasint"`
	ID        string    `json:"id" cbor:"4,keyasint"`
	Pos       *Position `json:"pos,omitzero" cbor:"13,keyasint,omitempty"` // nil in a topic without history
	Duplicate bool      `json:"duplicate,omitzero" cbor:"42,keyasint,omitempty"`
}

// Page answers a History.
type Page struct {
	Ref      `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic    string    `json:"topic" cbor:"2,keyasint"`
	Epoch    string    `json:"epoch" cbor:"14,keyasint"`
	Messages []Message `json:"messages" cbor:"16,keyasint"`
	Back     *Position `json:"back,omitzero" cbor:"18,keyasint,omitempty"`
	Forward  *Position `json:"forward,omitzero" cbor:"19,keyasint,omitempty"`
	Begin    bool      `json:"begin,omitzero" cbor:"20,keyasint,omitempty"`
	End      bool      `json:"end,omitzero" cbor:"21,keyasint,omitempty"`
}

// Members answers a GetPresence.
type Members struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string   `json:"topic" cbor:"2,keyasint"`
	Count   int      `json:"count" cbor:"43,keyasint"`
	Members []Member `json:"members" cbor:"51,keyasint"`
	End     bool     `json:"end,omitzero" cbor:"21,keyasint,omitempty"`
}

// Member is one user of a topic.
type Member struct {
	User        string `json:"user" cbor:"8,keyasint"`
	Connections int    `json:"connections" cbor:"52,keyasint"`
}

// OK answers a Set.
type OK struct {
	Ref `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
}

// MarkerIs answers a Read and an Unread, and goes to the user's other connections. Its
// type is marker.
type MarkerIs struct {
	Ref     `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic   string   `json:"topic" cbor:"2,keyasint"`
	Pos     Position `json:"pos" cbor:"13,keyasint"`
	Version uint32   `json:"version" cbor:"28,keyasint"`
	Unread  *int     `json:"unread,omitzero" cbor:"59,keyasint,omitempty"` // nil: not known
}

// Refreshed answers a Refresh.
type Refreshed struct {
	Ref   `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic string `json:"topic,omitzero" cbor:"2,keyasint,omitempty"`
	TTL   int64  `json:"ttl,omitzero" cbor:"31,keyasint,omitempty"`
}

// Pong answers a Ping.
type Pong struct {
	Ref  `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Time int64 `json:"time" cbor:"7,keyasint"`
}

// Message is a message of a topic, live, or in a list without its Topic. It is the
// same for all subscribers.
type Message struct {
	Topic  string `json:"topic,omitzero" cbor:"2,keyasint,omitempty"`
	Offset uint64 `json:"offset,omitzero,string" cbor:"5,keyasint,omitempty"` // 0: the topic has no history
	Prev   uint64 `json:"prev,omitzero,string" cbor:"6,keyasint,omitempty"`   // 0: not known
	ID     string `json:"id" cbor:"4,keyasint"`
	Time   int64  `json:"time" cbor:"7,keyasint"`
	Body
}

// Messages are from history.
type Messages struct {
	Topic    string    `json:"topic" cbor:"2,keyasint"`
	Messages []Message `json:"messages" cbor:"16,keyasint"`
	More     bool      `json:"more,omitzero" cbor:"17,keyasint,omitempty"`
}

// ResetTo says that there may be messages that the client never gets. Its type is
// reset.
type ResetTo struct {
	Topic   string   `json:"topic" cbor:"2,keyasint"`
	Attempt uint32   `json:"attempt" cbor:"3,keyasint"`
	Pos     Position `json:"pos" cbor:"13,keyasint"`
}

// PresenceChange is what changed in a topic. Its type is presence.
type PresenceChange struct {
	Topic  string   `json:"topic" cbor:"2,keyasint"`
	Seq    uint64   `json:"seq" cbor:"44,keyasint"`
	Count  int      `json:"count" cbor:"43,keyasint"`
	Reset  bool     `json:"reset,omitzero" cbor:"50,keyasint,omitempty"`
	Joined []string `json:"joined,omitzero" cbor:"48,keyasint,omitempty"`
	Left   []string `json:"left,omitzero" cbor:"49,keyasint,omitempty"`
	Sample []string `json:"sample,omitzero" cbor:"47,keyasint,omitempty"`
}

// Values are keyed values that changed.
type Values struct {
	Topic  string  `json:"topic" cbor:"2,keyasint"`
	Kind   string  `json:"kind" cbor:"10,keyasint"`
	Reset  bool    `json:"reset,omitzero" cbor:"50,keyasint,omitempty"`
	Values []Value `json:"values" cbor:"56,keyasint"`
}

// Note says that there was something in a topic, to a passive subscription.
type Note struct {
	Topic  string `json:"topic" cbor:"2,keyasint"`
	Count  uint64 `json:"count" cbor:"43,keyasint"`
	Unread *int   `json:"unread,omitzero" cbor:"59,keyasint,omitempty"` // nil: not known
}

// Closing is the last frame of a connection.
type Closing struct {
	Code    Code   `json:"code" cbor:"36,keyasint"`
	Retry   Retry  `json:"retry" cbor:"37,keyasint"`
	Delay   int64  `json:"delay,omitzero" cbor:"38,keyasint,omitempty"`
	Address string `json:"address,omitzero" cbor:"40,keyasint,omitempty"`
	Message string `json:"message,omitzero" cbor:"39,keyasint,omitempty"`
}

func (*Message) frame() kind        { return kind{"message", 1} }
func (*Messages) frame() kind       { return kind{"messages", 2} }
func (*ResetTo) frame() kind        { return kind{"reset", 3} }
func (*PresenceChange) frame() kind { return kind{"presence", 4} }
func (*Values) frame() kind         { return kind{"values", 5} }
func (*Note) frame() kind           { return kind{"note", 6} }
func (*Connected) frame() kind      { return kind{"connected", 7} }
func (*Subscribed) frame() kind     { return kind{"subscribed", 8} }
func (*Unsubscribed) frame() kind   { return kind{"unsubscribed", 9} }
func (*Published) frame() kind      { return kind{"published", 10} }
func (*Page) frame() kind           { return kind{"page", 11} }
func (*Members) frame() kind        { return kind{"members", 12} }
func (*OK) frame() kind             { return kind{"ok", 13} }
func (*MarkerIs) frame() kind       { return kind{"marker", 14} }
func (*Refreshed) frame() kind      { return kind{"refreshed", 15} }
func (*Pong) frame() kind           { return kind{"pong", 16} }
func (*Error) frame() kind          { return kind{"error", 17} }
func (*Closing) frame() kind        { return kind{"closing", 18} }

// newFrame makes one of each type.
var newFrame = []func() Frame{
	func() Frame { return new(Message) }, func() Frame { return new(Messages) },
	func() Frame { return new(ResetTo) }, func() Frame { return new(PresenceChange) },
	func() Frame { return new(Values) }, func() Frame { return new(Note) },
	func() Frame { return new(Connected) }, func() Frame { return new(Subscribed) },
	func() Frame { return new(Unsubscribed) }, func() Frame { return new(Published) },
	func() Frame { return new(Page) }, func() Frame { return new(Members) },
	func() Frame { return new(OK) }, func() Frame { return new(MarkerIs) },
	func() Frame { return new(Refreshed) }, func() Frame { return new(Pong) },
	func() Frame { return new(Error) }, func() Frame { return new(Closing) },
}
