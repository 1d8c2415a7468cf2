package protocol

import (
	"fmt"
	"maps"
	"slices"
)

// Code is what went wrong, for programs. It is an error, which an [Error] wraps:
// errors.Is(err, protocol.Forbidden).
type Code string

// Codes of errors.
const (
	BadFrame           Code = "bad_frame"
	UnknownCommand     Code = "unknown_command"
	UnsupportedVersion Code = "unsupported_version"
	BadField           Code = "bad_field"
	BadName            Code = "bad_name"
	TooLarge           Code = "too_large"
	NotConnected       Code = "not_connected"
	AlreadyConnected   Code = "already_connected"
	Unauthorized       Code = "unauthorized"
	TokenExpired       Code = "token_expired"
	TokenNotYetValid   Code = "token_not_yet_valid"
	TokenRequired      Code = "token_required"
	Forbidden          Code = "forbidden"
	Revoked            Code = "revoked"
	UnknownTopic       Code = "unknown_topic"
	UnknownKind        Code = "unknown_kind"
	Off                Code = "off"
	Stale              Code = "stale"
	NotSubscribed      Code = "not_subscribed"
	PositionLost       Code = "position_lost"
	BadTarget          Code = "bad_target"
	TooManyTopics      Code = "too_many_topics"
	RateLimited        Code = "rate_limited"
	Overloaded         Code = "overloaded"
	Unavailable        Code = "unavailable"
	Internal           Code = "internal"

	// These end connections and are in no Error.
	Draining  Code = "draining"
	Slow      Code = "slow"
	NoConnect Code = "no_connect"
	Replaced  Code = "replaced"
)

// Retry says what a client does after an error.
type Retry string

// What a client does after an error.
const (
	Never        Retry = "never"   // the same would fail again
	Later        Retry = "later"   // after the delay, with backoff
	AfterRefresh Retry = "refresh" // with a new token
)

// ways has, for each code, what a client does, and the status that a connection is
// closed with if this is its end; 0 if it is not.
var ways = map[Code]struct {
	retry Retry
	close CloseCode
}{
	BadFrame:           {Never, 4400},
	UnknownCommand:     {Never, 0},
	UnsupportedVersion: {Never, 4406},
	BadField:           {Never, 0},
	BadName:            {Never, 0},
	TooLarge:           {Never, 0},
	NotConnected:       {Never, 0},
	AlreadyConnected:   {Never, 0},
	Unauthorized:       {Never, 4401},
	TokenExpired:       {AfterRefresh, 4300},
	TokenNotYetValid:   {Later, 4004},
	TokenRequired:      {AfterRefresh, 0},
	Forbidden:          {Never, 0},
	Revoked:            {Never, 4403},
	UnknownTopic:       {Never, 0},
	UnknownKind:        {Never, 0},
	Off:                {Never, 0},
	Stale:              {Never, 0},
	NotSubscribed:      {Never, 0},
	PositionLost:       {Never, 0},
	BadTarget:          {Never, 0},
	TooManyTopics:      {Never, 0},
	RateLimited:        {Later, 4029},
	Overloaded:         {Later, 4003},
	Unavailable:        {Later, 0},
	Internal:           {Later, 0},
	Draining:           {Later, 4000},
	Slow:               {Later, 4001},
	NoConnect:          {Later, 4002},
	Replaced:           {Never, 4409},
}

// Codes are all that there are.
func Codes() []Code { return slices.Sorted(maps.Keys(ways)) }

// Error is the text of the code.
func (c Code) Error() string { return "protocol: " + string(c) }

// Retry says what a client does after this. A code that is not known has Never.
func (c Code) Retry() Retry {
	if way, known := ways[c]; known {
		return way.retry
	}
	return Never
}

// Close is the status that a connection is closed with for this reason. What has none
// of its own has one that says as much about what the client does.
func (c Code) Close() CloseCode {
	if status := ways[c].close; status != 0 {
		return status
	}
	switch c.Retry() {
	case Never:
		return 4499
	case AfterRefresh:
		return 4399
	}
	return 1011
}

// CloseCode is the status of a WebSocket's close frame.
type CloseCode uint16

// Retry says what a client does after a connection was closed with this status.
func (c CloseCode) Retry() Retry {
	switch {
	case 4000 <= c && c < 4300:
		return Later
	case 4300 <= c && c < 4400:
		return AfterRefresh
	case c >= 4400, c == 1000, c == 1002, c == 1003, c == 1007, c == 1009:
		return Never
	}
	return Later
}

// Error answers a command that failed. It is a [Frame] and an error.
type Error struct {
	Ref      `json:"ref,omitzero" cbor:"1,keyasint,omitempty"`
	Topic    string `json:"topic,omitzero" cbor:"2,keyasint,omitempty"`
	Attempt  uint32 `json:"attempt,omitzero" cbor:"3,keyasint,omitempty"`
	ID       string `json:"id,omitzero" cbor:"4,keyasint,omitempty"`
	Code     Code   `json:"code" cbor:"36,keyasint"`
	Retry    Retry  `json:"retry" cbor:"37,keyasint"`
	Delay    int64  `json:"delay,omitzero" cbor:"38,keyasint,omitempty"`
	Message  string `json:"message,omitzero" cbor:"39,keyasint,omitempty"`
	Versions []int  `json:"versions,omitzero" cbor:"41,keyasint,omitempty"`

	connect bool // it answers a Connect
}

// Fail returns the error that answers c. A nil c: no command could be read. message
// is for developers; it may be empty.
func Fail(c Command, code Code, message string) *Error {
	e := &Error{Code: code, Retry: code.Retry(), Message: message}
	if c != nil {
		e.Ref = c.Answers()
		e.Topic, e.Attempt, e.ID = subject(c)
		_, e.connect = c.(*Connect)
	}
	if code == UnsupportedVersion {
		e.Versions = []int{Version}
	}
	return e
}

// subject is what an answer to a command names.
func subject(c Command) (topic string, attempt uint32, id string) {
	switch c := c.(type) {
	case *Subscribe:
		return c.Topic, c.Attempt, ""
	case *Unsubscribe:
		return c.Topic, c.Attempt, ""
	case *Refresh:
		return c.Topic, c.Attempt, ""
	case *Publish:
		return c.Topic, 0, c.ID
	case *History:
		return c.Topic, 0, ""
	case *GetPresence:
		return c.Topic, 0, ""
	case *Set:
		return c.Topic, 0, ""
	case *Read:
		return c.Topic, 0, ""
	case *Unread:
		return c.Topic, 0, ""
	}
	return "", 0, ""
}

// Error is the code and the message.
func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.Error()
	}
	return fmt.Sprintf("%v: %s", e.Code, e.Message)
}

// Unwrap returns the code.
func (e *Error) Unwrap() error { return e.Code }

// OfConnect reports whether it answers a Connect. With the first one, the connection ends.
func (e *Error) OfConnect() bool { return e.connect }

// Fatal reports whether the connection ends with this error.
func (e *Error) Fatal() bool {
	switch e.Code {
	case BadFrame, UnsupportedVersion, Unauthorized, Revoked:
		return true
	}
	return false
}
