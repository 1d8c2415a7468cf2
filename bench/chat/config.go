package chat

import (
	"fmt"
	"net/url"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
)

// Sizes is how users are spread over rooms.
type Sizes string

// How users are spread over rooms.
const (
	Equal Sizes = "equal" // as many in each
	Zipf  Sizes = "zipf"  // the n-th room has 1/n of the first
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
	URL       string // of the service's socket: ws://host:port/v1/socket
	PID       int    // process whose CPU time and memory are read; 0: not known
	GivesBack bool   // the process returns freed memory at SIGUSR1
	Admin     string // http://host:port of the service's operators, for its heap; "": not known

	Users    int
	Rooms    int
	PerUser  int     // rooms of a user
	Sizes    Sizes   // of rooms
	Talkers  int     // users who publish; 0: all
	Rate     float64 // messages a second, of all talkers together
	Size     int     // bytes of a message's data
	Cuts     float64 // share of the users who are cut off once, and come back
	Away     time.Duration
	Reads    float64 // pages of history a second, of all users together
	Presence bool    // users see who is there
	Encoding Encoding

	WarmUp   time.Duration // talk that is checked but not measured
	Time     time.Duration // talk that is measured
	Opening  int           // users that connect at once
	Deadline time.Duration // longest silence while something is due
	Seed     uint64
}

// minSize is a message's data with an empty text.
const minSize = len(`{"text":""}`)

// maxRooms of a user is what one connection of the service may subscribe to by default.
const maxRooms = 256

// maxPlanned bounds what one run may publish.
const maxPlanned = 10_000_000

// Check says what is wrong with c, as a *load.ConfigError.
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

// target is where the service is.
func (c Config) target() (*url.URL, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "ws" || u.Host == "" {
		return nil, wrong("URL %q: want ws://host:port/v1/socket", c.URL)
	}
	return u, nil
}

// encoding is that of the protocol.
func (c Config) encoding() protocol.Encoding {
	if c.Encoding == CBOR {
		return protocol.CBOR
	}
	return protocol.JSON
}

// Name says in one word what users do, as in chat10000r1000x128@1000.
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
