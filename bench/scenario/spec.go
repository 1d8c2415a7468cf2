package scenario

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/fanloop-go/fanloop/bench/load"
)

// Kind is what a scenario is about.
type Kind string

// The kinds.
const (
	Echo    Kind = "echo"    // messages sent back, in a closed or an open loop
	Fanout  Kind = "fanout"  // messages delivered to everybody
	Connect Kind = "connect" // handshakes
	Idle    Kind = "idle"    // memory of connections that do nothing
	Slow    Kind = "slow"    // what readers that stop do to the others
	Storm   Kind = "storm"   // everybody dropped at once, and back at once
	Soak    Kind = "soak"    // an open loop for long, and the slope of the memory
)

// Spec is one scenario. The zero value of a field means its default.
type Spec struct {
	Kind Kind
	Name string // how reports call it; default: made of what it does

	Conns      int     // connections; Connect: handshakes under way at once
	Size       int     // payload bytes; default 64, JSON 1 KiB, Slow 16 KiB
	InFlight   int     // Echo, closed loop: messages under way per connection; default 1
	Rate       float64 // open loop: messages or publishes a second; 0: closed loop (Slow: 100, Soak: 1000)
	Publishers int     // Fanout, Slow; default 1
	Topics     int     // Fanout; default 1
	Burst      int     // Fanout, closed loop: messages published at once; default 1
	Stopped    float64 // Slow: the part of the connections that stops reading; default 0.1

	Greeting int // messages that the server sends first on each connection, which do not count

	TLS         bool             // wss
	Payload     load.Payload     // default load.Noise, with Compression load.JSON
	Compression load.Compression // default load.Off

	Rounds    int           // default 5; in slices: as many as Time allows, and 5 at least
	Window    time.Duration // measured time of a round; default 2 s
	Slice     time.Duration // in slices: how long a server is on turn; default 100 ms
	Time      time.Duration // in slices: how long all rounds take together; default 30 s
	WarmUp    time.Duration // before a round or a slice; default 300 ms, or a tenth of the slice
	Settle    time.Duration // before memory is read; default 1 s, and 3 s of idle: servers may give memory back by themselves
	Deadline  time.Duration // for a handshake, and the longest silence; default 10 s
	Processes int           // client processes; default: as many as the connections need
	Sources   int           // source addresses; default: as many as the ports need
	Loops     int           // loops per client process; default: one per CPU
}

func (s Spec) withDefaults() Spec {
	if s.Kind == Slow {
		orDefault(&s.Size, 16<<10)
	}
	orDefault(&s.Compression, load.Off)
	if s.Compression != load.Off {
		orDefault(&s.Payload, load.JSON)
	}
	orDefault(&s.Payload, load.Noise)
	if s.Payload == load.JSON {
		orDefault(&s.Size, 1<<10)
	}
	orDefault(&s.Size, 64)
	orDefault(&s.InFlight, 1)
	orDefault(&s.Publishers, 1)
	orDefault(&s.Topics, 1)
	orDefault(&s.Burst, 1)
	orDefault(&s.Stopped, 0.1)
	if s.Sliced() {
		orDefault(&s.Slice, 100*time.Millisecond)
		orDefault(&s.Time, 30*time.Second)
		orDefault(&s.WarmUp, s.Slice/10)
	} else {
		orDefault(&s.Rounds, 5)
	}
	orDefault(&s.Window, 2*time.Second)
	orDefault(&s.WarmUp, 300*time.Millisecond)
	if s.Kind == Idle {
		orDefault(&s.Settle, 3*time.Second)
	}
	orDefault(&s.Settle, time.Second)
	orDefault(&s.Deadline, 10*time.Second)
	if most := load.MaxConns(); s.Processes == 0 {
		s.Processes = (s.Conns + most - 1) / most
	}
	conns := map[Kind]int{Fanout: 1000, Connect: 64, Idle: 10000, Slow: 100, Storm: 1000}[s.Kind]
	orDefault(&conns, 200)
	orDefault(&s.Conns, conns)
	s.Processes = max(s.Processes, 1)
	if s.Rate == 0 && s.Kind == Slow {
		s.Rate = 100
	}
	if s.Rate == 0 && s.Kind == Soak {
		s.Rate = 1000
	}
	orDefault(&s.Name, s.name())
	return s
}

// Sliced says that the servers of s take turns of a moment each, all of them up and
// connected at once. The other kinds look at memory or at latency in an open loop,
// which take longer than a moment.
func (s Spec) Sliced() bool {
	return s.Kind == Connect || s.Rate == 0 && (s.Kind == Echo || s.Kind == Fanout)
}

// needs are what s asks of a server besides plain WebSockets, as names of
// scenarios have it.
func (s Spec) needs() (all []string) {
	if s.TLS {
		all = append(all, "tls")
	}
	if s.Compression != load.Off {
		all = append(all, string(s.Compression))
	}
	return all
}

// plain is s without what it needs; the messages stay the same.
func (s Spec) plain() Spec {
	s.TLS, s.Compression = false, load.Off
	return s
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// name says what s does in one word.
func (s Spec) name() string {
	name := string(s.Kind) + strconv.Itoa(s.Conns)
	if s.Kind == Echo || s.Kind == Fanout || s.Kind == Slow || s.Kind == Soak {
		name += "x" + size(s.Size)
	}
	for _, part := range []struct {
		letter string
		n      int
	}{{"i", s.InFlight}, {"b", s.Burst}, {"p", s.Publishers}, {"t", s.Topics}} {
		if part.n > 1 {
			name += part.letter + strconv.Itoa(part.n)
		}
	}
	if s.Rate > 0 {
		name += "@" + strconv.FormatFloat(s.Rate, 'f', -1, 64)
	}
	if s.TLS {
		name += "+tls"
	}
	switch {
	case s.Compression != load.Off:
		name += "+" + string(s.Compression)
	case s.Payload != load.Noise:
		name += "+" + string(s.Payload)
	}
	return name
}

func size(n int) string {
	if n >= 1024 && n%1024 == 0 {
		return strconv.Itoa(n/1024) + "k"
	}
	return strconv.Itoa(n)
}

var form = regexp.MustCompile(`^(echo|fanout|connect|idle|slow|storm|soak)(\d*)(?:x(\d+)(k?))?(?:i(\d+))?(?:b(\d+))?(?:p(\d+))?(?:t(\d+))?(?:@(\d+))?(\+tls)?(?:\+(json|deflate|takeover))?$`)

// ParseSpec reads the name of a scenario:
// KIND[CONNS][xBYTES[k]][iINFLIGHT][bBURST][pPUBLISHERS][tTOPICS][@RATE], as in
// echo200x16k, fanout5000x128b20 or echo200x64@20000; then +tls, and one of
// +json, +deflate and +takeover, of which the latter two have messages of JSON.
func ParseSpec(name string) (Spec, error) {
	m := form.FindStringSubmatch(name)
	if m == nil {
		return Spec{}, usagef("scenario %q: want KIND[CONNS][xBYTES[k]][iINFLIGHT][bBURST][pPUBLISHERS][tTOPICS][@RATE][+tls][+json|+deflate|+takeover], for instance echo200x64", name)
	}
	s := Spec{Kind: Kind(m[1])}
	unit := 1
	if m[4] == "k" {
		unit = 1024
	}
	var rate int
	for _, field := range []struct {
		to     *int
		digits string
		unit   int
	}{{&s.Conns, m[2], 1}, {&s.Size, m[3], unit}, {&s.InFlight, m[5], 1}, {&s.Burst, m[6], 1},
		{&s.Publishers, m[7], 1}, {&s.Topics, m[8], 1}, {&rate, m[9], 1}} {
		if field.digits == "" {
			continue
		}
		n, err := strconv.Atoi(field.digits)
		if err != nil || n < 1 || n > 1e9/field.unit {
			return Spec{}, usagef("scenario %q: %s is out of range", name, field.digits)
		}
		*field.to = n * field.unit
	}
	s.Rate = float64(rate)
	s.TLS = m[10] != ""
	if m[11] == string(load.JSON) {
		s.Payload = load.JSON
	} else {
		s.Compression = load.Compression(m[11])
	}
	s.Name = name
	return s, s.Check()
}

// Check says what is wrong with s, as a *load.ConfigError.
func (s Spec) Check() error {
	s = s.withDefaults()
	switch {
	case s.Stopped < 0 || s.Stopped >= 1:
		return usagef("a part of %g stopped readers: want 0 to below 1", s.Stopped)
	case s.Rounds < 0 || s.Rounds == 0 && !s.Sliced() || s.Rounds > 100_000:
		return usagef("%d rounds: want 1 to 100000", s.Rounds)
	case s.Sliced() && (s.Slice < time.Millisecond || s.Time < 0):
		return usagef("slices of %v: want 1ms or more", s.Slice)
	case s.Window < 10*time.Millisecond || s.WarmUp < 0 || s.Settle < 0:
		return usagef("a window of %v: want 10ms or more", s.Window)
	case s.Processes > s.Conns:
		return usagef("%d client processes for %d connections", s.Processes, s.Conns)
	case s.Kind == Idle && s.Conns < 2:
		return usagef("%d connections: want 2 or more, since they come in two halves", s.Conns)
	case s.Publishers > s.Conns/s.Processes:
		return usagef("%d publishers: want no more than the %d connections of one client process", s.Publishers, s.Conns/s.Processes)
	}
	const target = "ws://127.0.0.1:1/"
	first, last := s.config(target, 0, 0), s.config(target, 0, s.Processes-1)
	if err := first.Check(); err != nil {
		return err
	}
	return last.Check()
}

// part is s with n of its connections, and as many client processes as those need.
func (s Spec) part(n int) Spec {
	s.Processes = (s.Processes*n + s.Conns - 1) / s.Conns
	s.Conns = n
	return s
}

func usagef(format string, args ...any) error {
	return &load.ConfigError{Reason: fmt.Sprintf(format, args...)}
}

// config is the share of client process i.
func (s Spec) config(target string, pid, i int) load.Config {
	mode := load.Echo
	switch s.Kind {
	case Connect:
		mode = load.Connect
	case Fanout, Slow:
		mode = load.Fanout
	}
	first, next := s.Conns*i/s.Processes, s.Conns*(i+1)/s.Processes
	c := load.Config{
		Target: target, Mode: mode, Conns: next - first, First: first,
		Size: s.Size, Payload: s.Payload, Compression: s.Compression,
		InFlight: s.InFlight, Publishers: s.Publishers, Burst: s.Burst, Topics: s.Topics, Greeting: s.Greeting,
		Listen: mode == load.Fanout && i > 0, Tolerant: s.Kind == Slow || s.Kind == Idle || s.Kind == Storm,
		Loops: s.Loops, Sources: s.Sources, Deadline: s.Deadline,
	}
	if i == 0 && load.HasProcessCPU {
		c.ServerPID = pid
	}
	switch {
	case mode == load.Echo:
		c.Rate = s.Rate * float64(c.Conns) / float64(s.Conns)
	case !c.Listen:
		c.Rate = s.Rate
	}
	return c
}
