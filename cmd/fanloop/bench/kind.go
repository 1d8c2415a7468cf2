package bench

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/bench/load"
	"github.com/fanloop-go/fanloop/bench/scenario"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// benchKind says what is special about the command of a kind of scenario.
type benchKind struct {
	short, long string
	defaults    scenario.Spec
	flags       func(flags *pflag.FlagSet, s *scenario.Spec)
}

var benchKinds = map[scenario.Kind]benchKind{
	scenario.Echo: {
		short: "Messages sent back, as fast as they come or at a rate",
		long: `Each connection sends the next message when the last one is back (closed loop).
With --rate, messages leave on a schedule whatever the server does (open loop),
and latency counts from the time a message was to leave.`,
		defaults: scenario.Spec{Conns: 200},
		flags: func(flags *pflag.FlagSet, s *scenario.Spec) {
			messageFlags(flags, s)
			cli.CountFlag(flags, &s.InFlight, "inflight", "messages under way per connection, without --rate")
		},
	},
	scenario.Fanout: {
		short: "Messages delivered to every connection",
		long: `Publishers send messages that go to every connection of their topic; the next
ones follow when the last has arrived everywhere, or at --rate. Every delivery is
counted. "last" is the time from publish to the last delivery.`,
		defaults: scenario.Spec{Conns: 1000, Publishers: 1, Topics: 1, Burst: 1},
		flags: func(flags *pflag.FlagSet, s *scenario.Spec) {
			messageFlags(flags, s)
			cli.CountFlag(flags, &s.Publishers, "publishers", "connections that publish")
			cli.CountFlag(flags, &s.Topics, "topics", "topics; more than one needs a server that knows ?topic=N, as fanloop's")
			cli.CountFlag(flags, &s.Burst, "burst", "messages published at once, without --rate")
		},
	},
	scenario.Connect: {
		short:    "Handshakes: connect, upgrade, reset, again",
		long:     "Latency is from connect to the end of the opening handshake.",
		defaults: scenario.Spec{Conns: 64},
	},
	scenario.Idle: {
		short: "Memory of connections that do nothing",
		long: `Connections open, echo once and rest. Every round has a fresh server. "kernel" is
what the kernel holds in socket buffers for both sides.`,
		defaults: scenario.Spec{Conns: 10000, Rounds: 3},
	},
	scenario.Slow: {
		short: "What readers that stop do to the others",
		long: `A publisher goes on at its rate; at first everybody reads, then some stop.
"reach" is the part of the messages that still reached the others in time. The
kernel buffers some MiB per connection: choose size, rate and duration so that
those who stopped miss more than that.`,
		defaults: scenario.Spec{Conns: 100, Size: 16 << 10, Rate: 100, Stopped: 0.1, Window: 5 * time.Second, Rounds: 3, Publishers: 1},
		flags: func(flags *pflag.FlagSet, s *scenario.Spec) {
			messageFlags(flags, s)
			cli.CountFlag(flags, &s.Publishers, "publishers", "connections that publish")
			cli.ShareFlag(flags, &s.Stopped, "stopped", "part of the connections that stops reading, 0 to below 1")
		},
	},
	scenario.Storm: {
		short:    "Everybody dropped at once, and back at once",
		long:     `"all back" is the time from the drop to the last opening handshake.`,
		defaults: scenario.Spec{Conns: 5000, Rounds: 3},
	},
	scenario.Soak: {
		short: "Echo at a rate for long, and whether memory grows",
		long: `"RSS/hour" is the slope of the server's memory over the window without its first
fifth. Run it for an hour or more: fanloop bench soak --duration 1h`,
		defaults: scenario.Spec{Conns: 1000, Rate: 5000, Rounds: 1, Window: time.Minute, WarmUp: 5 * time.Second},
		flags:    messageFlags,
	},
}

// timeFlags are those that say how long to measure: slices, rounds or, where --rate
// decides, both.
func (k benchKind) timeFlags(flags *pflag.FlagSet, s *scenario.Spec) {
	switch s.Kind {
	case scenario.Echo, scenario.Fanout:
		sliceFlags(flags, s)
		cli.CountFlag(flags, &s.Rounds, "rounds", "rounds of every server; 0: as many as --time allows, with --rate 5")
		cli.DurationFlag(flags, &s.Window, "duration,d", "measured time of a round, with --rate")
		cli.DurationFlag(flags, &s.WarmUp, "warm-up", "time before a slice or a round that does not count; 0: a tenth of a slice, with --rate 300ms")
	case scenario.Connect:
		sliceFlags(flags, s)
		cli.CountFlag(flags, &s.Rounds, "rounds", "rounds of every server; 0: as many as --time allows")
		cli.DurationFlag(flags, &s.WarmUp, "warm-up", "time before a slice that does not count; 0: a tenth of it")
	default:
		cli.CountFlag(flags, &s.Rounds, "rounds", "rounds of every server, in turn; 0: 5")
		cli.DurationFlag(flags, &s.Window, "duration,d", "measured time of a round")
		cli.DurationFlag(flags, &s.WarmUp, "warm-up", "time before it that does not count; 0: 300ms")
	}
}

func sliceFlags(flags *pflag.FlagSet, s *scenario.Spec) {
	cli.DurationFlag(flags, &s.Time, "time", "how long the slices of all servers take together; five rounds of each come in any case")
	cli.DurationFlag(flags, &s.Slice, "slice", "how long a server is on turn")
}

func messageFlags(flags *pflag.FlagSet, s *scenario.Spec) {
	cli.CountFlag(flags, &s.Size, "size", "payload bytes of a message; 0: 64, or 1024 of json")
	cli.RateFlag(flags, &s.Rate, "rate,r", "messages a second in all, at fixed times; 0: as fast as answers come")
}

func newBenchKind(std cli.Stdio, kind scenario.Kind) *cobra.Command {
	k, o := benchKinds[kind], newBenchOptions()
	s := k.defaults
	s.Kind = kind
	if s.Window == 0 {
		s.Window = 2 * time.Second
	}
	s.Compression = load.Off
	s.Slice, s.Time, s.Deadline = 100*time.Millisecond, 30*time.Second, 10*time.Second
	cmd := &cobra.Command{
		Use:   string(kind) + " [flags]",
		Short: k.short,
		Long:  k.long,
		Args:  cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if s.Window == 0 || s.Conns == 0 || s.Slice == 0 {
				return cli.Usagef("--duration, --slice and --conns must be 1 or more")
			}
			s.TLS = s.TLS || strings.HasPrefix(o.target, "wss:") || strings.HasPrefix(o.target, "https:")
			_, err := o.run(cmd.Context(), std, []scenario.Spec{s})
			return err
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	cli.CountFlag(flags, &s.Conns, "conns,c", "connections; of connect, handshakes under way at once")
	if k.flags != nil {
		k.flags(flags, &s)
	}
	flags.BoolVar(&s.TLS, "tls", false, "speak wss: TLS 1.3, X25519, AES-128-GCM")
	cli.ChoiceFlag(flags, &s.Payload, "payload", "messages: noise, or json as in a chat; default: noise, json with --compression", load.Noise, load.JSON)
	cli.ChoiceFlag(flags, &s.Compression, "compression", "permessage-deflate to agree on: off, deflate or takeover", load.Off, load.Deflate, load.Takeover)
	k.timeFlags(flags, &s)
	cli.DurationFlag(flags, &s.Deadline, "deadline", "longest time for a handshake, and longest silence")
	cli.CountFlag(flags, &s.Processes, "processes", "client processes; 0: as many as the connections need")
	cli.CountFlag(flags, &s.Loops, "client-loops", "event loops of a client process; 0: one per CPU")
	cli.CountFlag(flags, &s.Sources, "sources", "source addresses 127.0.0.1, 127.0.0.2, ...; 0: as many as the ports need")
	o.flags(flags)
	completeLists(cmd)
	return cmd
}
