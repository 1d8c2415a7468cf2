package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"runtime"
	"time"
)

// MinSize is the smallest payload, in bytes, that holds the stamp by which a
// message is recognized.
const MinSize = stampSize

// maxConns is what the sender's field of a stamp can tell apart.
const maxConns = 1 << 24

// Mode is what the connections of a generator do.
type Mode string

// The modes.
const (
	Echo    Mode = "echo"    // every connection sends, and gets its own messages back
	Fanout  Mode = "fanout"  // publishers send to all connections
	Connect Mode = "connect" // open, upgrade, reset, again
)

// Payload is what messages hold behind their stamps.
type Payload string

// The payloads.
const (
	Noise Payload = "noise" // binary messages that nothing compresses
	JSON  Payload = "json"  // text messages like those of a chat
)

// Compression is what the clients ask of permessage-deflate (RFC 7692).
type Compression string

// The kinds of compression.
const (
	Off      Compression = "off"
	Deflate  Compression = "deflate"  // every message by itself
	Takeover Compression = "takeover" // with context takeover on both sides
)

// Config says what one generator does. Durations are in nanoseconds in JSON.
type Config struct {
	Target string // ws://host:port/path, or wss: TLS whose certificate is not verified
	Mode   Mode   // default Echo
	Conns  int    // connections; for Connect, handshakes under way at once
	First  int    // number of the first connection, where several processes share the work
	Size   int    // payload bytes of a message, MinSize or more; default 64, JSON 1 KiB

	Payload Payload // default Noise, with Compression JSON
	// Compression is offered as it is named here; the run fails unless the server
	// agrees to just that. Default Off.
	Compression Compression

	InFlight int     // closed loop of Echo: messages under way per connection; default 1
	Rate     float64 // open loop: messages (Echo) or publishes (Fanout) a second of this process; 0: closed loop

	Publishers int  // Fanout: publishers of all processes; default 1
	Burst      int  // Fanout, closed loop: messages published at once; default 1
	Listen     bool // Fanout: another process publishes, this one receives
	Topics     int  // Fanout: number of topics, told apart by path; default 1

	// Greeting is how many messages the server sends on each connection before it
	// answers or delivers anything; they are not checked or counted.
	Greeting int

	// Tolerant counts what is missing instead of failing, for servers that are
	// expected to fall behind, as with slow readers.
	Tolerant bool

	Loops     int           // default: one per CPU of the process
	Sources   int           // source addresses 127.0.0.1, 127.0.0.2, ...; default: as many as ports need
	Opening   int           // handshakes under way at once; default 256
	Deadline  time.Duration // for each step: a handshake, and the longest silence; default 10 s
	ServerPID int           // process whose CPU time is read; 0: none
}

// ConfigError is a setting that cannot be used.
type ConfigError struct{ Reason string }

func (e *ConfigError) Error() string { return e.Reason }

func configErrorf(format string, args ...any) error {
	return &ConfigError{fmt.Sprintf(format, args...)}
}

func (c Config) withDefaults() Config {
	orDefault(&c.Mode, Echo)
	orDefault(&c.Compression, Off)
	if c.Compression != Off {
		orDefault(&c.Payload, JSON)
	}
	orDefault(&c.Payload, Noise)
	if c.Payload == JSON {
		orDefault(&c.Size, 1<<10)
	}
	orDefault(&c.Size, 64)
	orDefault(&c.InFlight, 1)
	orDefault(&c.Publishers, 1)
	orDefault(&c.Burst, 1)
	orDefault(&c.Topics, 1)
	orDefault(&c.Loops, max(1, runtime.NumCPU()))
	orDefault(&c.Opening, 256)
	orDefault(&c.Deadline, 10*time.Second)
	if c.Sources == 0 {
		c.Sources = (c.First+c.Conns)/connsPerSource + 1
		if c.Mode == Connect {
			c.Sources = max(c.Sources, 8) // ports rest after use
		}
	}
	return c
}

// connsPerSource stays below the number of ephemeral ports of one address.
const connsPerSource = 10000

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Check says what is wrong with c, as a *ConfigError.
func (c Config) Check() error {
	c = c.withDefaults()
	switch {
	case c.Mode != Echo && c.Mode != Fanout && c.Mode != Connect:
		return configErrorf("unknown mode %q: want echo, fanout or connect", c.Mode)
	case c.Conns < 1:
		return configErrorf("there must be at least one connection")
	case c.First < 0 || c.First+c.Conns > maxConns:
		return configErrorf("%d connections are more than the %d that can be told apart", c.First+c.Conns, maxConns)
	case c.Size < MinSize || c.Size > 64<<20:
		return configErrorf("a message of %d bytes: want %d bytes (its stamp) to 64 MiB", c.Size, MinSize)
	case c.Payload != Noise && c.Payload != JSON:
		return configErrorf("unknown payload %q: want noise or json", c.Payload)
	case c.Payload == JSON && c.Size < minChat:
		return configErrorf("a JSON message of %d bytes: want %d or more", c.Size, minChat)
	case c.Compression != Off && c.Compression != Deflate && c.Compression != Takeover:
		return configErrorf("unknown compression %q: want off, deflate or takeover", c.Compression)
	case c.Compression != Off && c.Payload == Noise:
		return configErrorf("noise does not compress: want a payload of json with compression")
	case c.InFlight < 1 || c.InFlight > 1<<16:
		return configErrorf("%d messages in flight: want 1 to 65536", c.InFlight)
	case c.Rate < 0 || c.Rate > 1e9:
		return configErrorf("a rate of %g a second: want 0 (as fast as answers come) to 1e9", c.Rate)
	case c.Mode == Fanout && (c.Publishers < 1 || c.Publishers > c.Conns && !c.Listen):
		return configErrorf("%d publishers: want 1 to the number of connections", c.Publishers)
	case c.Greeting < 0:
		return configErrorf("a greeting of %d messages: want 0 or more", c.Greeting)
	case c.Burst < 1 || c.Burst > maxBurst:
		return configErrorf("a burst of %d: want 1 to %d", c.Burst, maxBurst)
	case c.Topics < 1 || c.Mode == Fanout && c.Topics > c.Publishers && c.Topics > 1:
		return configErrorf("%d topics: want 1 to the number of publishers, each of which has one", c.Topics)
	case c.Loops < 1 || c.Sources < 1 || c.Opening < 1 || c.Deadline < 0:
		return configErrorf("loops, source addresses, handshakes at once and the deadline cannot be negative")
	}
	_, err := parseTarget(c.Target)
	return err
}

// target is where a URL leads.
type target struct {
	tls  bool
	host string // as the Host header has it
	name string
	port string
	uri  string
}

func parseTarget(raw string) (target, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "":
		return target{}, configErrorf("target %q: want ws://host:port/path, or wss", raw)
	case u.Fragment != "":
		return target{}, configErrorf("target %q: a WebSocket URL has no fragment", raw)
	}
	t := target{tls: u.Scheme == "wss", host: u.Host, name: u.Hostname(), port: u.Port(), uri: u.RequestURI()}
	if t.tls {
		orDefault(&t.port, "443")
	}
	orDefault(&t.port, "80")
	return t, nil
}

// resolve returns the first address of the target.
func (t target) resolve(ctx context.Context) (*net.TCPAddr, error) {
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", t.port)
	if err != nil {
		return nil, configErrorf("target port %q is not a port", t.port)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", t.name)
	if err != nil || len(ips) == 0 {
		return nil, fmt.Errorf("cannot find the host %q of the target; check its name: %w", t.name, errors.Join(err))
	}
	ip := ips[0].Unmap()
	return &net.TCPAddr{IP: ip.AsSlice(), Port: port, Zone: ip.Zone()}, nil
}

// sources returns the addresses to connect from: nil for the kernel's choice,
// several only on the loopback network, which has a whole /8 of them.
func sources(to *net.TCPAddr, n int) []net.Addr {
	if ip := to.IP.To4(); n < 2 || ip == nil || !ip.IsLoopback() {
		return []net.Addr{nil}
	}
	all := make([]net.Addr, n)
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	for i := range all {
		all[i] = &net.TCPAddr{IP: at.AsSlice()}
		at = at.Next()
	}
	return all
}
