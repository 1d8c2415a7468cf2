package chat

import (
	"fmt"
	"net/url"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Sizes names a distribution of users over rooms.
type Sizes string

// The distributions.
const (
	Equal Sizes = "equal" // the same number in each room
	Zipf  Sizes = "zipf"  // the n-th room has 1/n of the users of the first
)

// Encoding names an encoding of the protocol.
type Encoding string

// The encodings.
const (
	JSON Encoding = "json"
	CBOR Encoding = "cbor"
)

// Config says what users do. Durations are in nanoseconds in JSON.
type Config struct {
	URL       string // ws://host:port/v1/socket
	PID       int    // process whose CPU time and memory are measured; 0: none
	GivesBack bool   // the process returns freed memory to the system on SIGUSR1
	Admin     string // operator's address, http://host:port, to measure the heap; "": none

	Users    int
	Rooms    int
	PerUser  int           // rooms of each user
	Sizes    Sizes         // distribution of users over rooms
	Talkers  int           // users who publish; 0: all
	Rate     float64       // messages a second, of all talkers together
	Size     int           // bytes of a message's data
	Cuts     float64       // share of the users who are cut once, and reconnect
	Away     time.Duration // longest time until they reconnect
	Reads    float64       // pages of history a second, of all users together
	Presence bool          // users subscribe to presence
	Encoding Encoding

	WarmUp   time.Duration // of talk that is checked and not measured
	Time     time.Duration // of talk that is measured
	Opening  int           // users that connect at the same time
	Deadline time.Duration // longest silence while something is expected
	Seed     uint64
}

// minSize is the size of a message's data with an empty text.
const minSize = len(`{"text":""}`)

// maxRooms is the most topics of one connection, by default.
const maxRooms = 256

// maxPlanned bounds the messages of a run.
const maxPlanned = 10_000_000

// Check returns a *load.ConfigError if c is invalid.
func (c Config) Check() error {
	messages := c.Rate * (c.WarmUp + c.Time).Seconds()
	switch {
	case c.Users < 1 || c.Users > 1_000_000:
		return wrong("%d users: want 1 to a million", c.Users)
	case c.Rooms < 1 || c.Rooms > c.Users*c.PerUser:
		return wrong("%d rooms: want 1 to the number of users times their rooms", c.Rooms)
	case c.PerUser < 1 || c.PerUser > min(c.Rooms, maxRooms):
		return wrong("%d rooms of a user: want 1 to %d", c.PerUser, min(c.Rooms, maxRooms))
	case c.Sizes != Equal && c.Sizes != Zipf:
		return wrong("rooms of sizes %q: want equal or zipf", c.Sizes)
	case c.Talkers < 0 || c.Talkers > c.Users:
		return wrong("%d talkers: want as many as there are users at most", c.Talkers)
	case c.Cuts < 0 || c.Cuts > 1:
		return wrong("a share of %g reconnects: want 0 to 1", c.Cuts)
	case c.Rate <= 0 || c.Reads < 0 || messages > maxPlanned:
		return wrong("%g messages a second: want above 0, and at most %d in a run", c.Rate, maxPlanned)
	case c.Size < minSize || c.Size > 16<<10:
		return wrong("messages of %d bytes: want %d to 16384", c.Size, minSize)
	case c.Encoding != JSON && c.Encoding != CBOR:
		return wrong("encoding %q: want json or cbor", c.Encoding)
	case c.Time <= 0 || c.WarmUp < 0 || c.Away < 0 || c.Deadline <= 0 || c.Opening < 1:
		return wrong("times are positive, and so is how many users connect at once")
	}
	return nil
}

func wrong(format string, values ...any) error {
	return &load.ConfigError{Reason: fmt.Sprintf(format, values...)}
}

// target parses the URL.
func (c Config) target() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ws" || u.Host == "" {
		return nil, wrong("URL %q: want ws://host:port/v1/socket", c.URL)
	}
	return u, nil
}

// encoding returns the encoding as package protocol has it.
func (c Config) encoding() protocol.Encoding {
	if c.Encoding == CBOR {
		return protocol.CBOR
	}
	return protocol.JSON
}

// Name describes c in one word, such as chat10000r1000x128@1000: users, rooms, bytes of a
// message, messages a second.
func (c Config) Name() string {
	name := fmt.Sprintf("chat%dr%d", c.Users, c.Rooms)
	if c.PerUser > 1 {
		name += fmt.Sprintf("p%d", c.PerUser)
	}
	name += fmt.Sprintf("x%d@%g", c.Size, c.Rate)
	if c.Sizes == Zipf && c.Rooms > 1 {
		name += "+zipf"
	}
	if c.Cuts > 0 {
		name += "+cuts"
	}
	if c.Encoding == CBOR {
		name += "+cbor"
	}
	return name
}
