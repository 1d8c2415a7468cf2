package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/bench/history"
	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
)

// historyOptions are the flags that history and room share.
type historyOptions struct {
	jsonPath string
	quiet    bool
}

func newBenchHistory(std cli.Stdio) *cobra.Command {
	var o historyOptions
	c := history.TopicsConfig{Topics: 10_000, Conns: 100, Rate: 1000, Size: 300, Time: 30 * time.Second, Shards: 16}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Topics with a history, on one node with its own NATS server",
		Long: `history runs a NATS server with JetStream, a node and its clients in this process, and
publishes to topics at random, at a steady rate. Every topic has one subscriber. Latencies
count from the time at which a publish was due: "ack" until the stream has stored it,
"delivery" until the client has it. Every message is counted; one that is missing fails
the run.

Memory is the heap once garbage is collected, in steps: what the NATS server takes with
one message in each topic; what node, server, clients and subscriptions take more; what
the publishes add to all of them. "ring" is what the node keeps of them for clients that
come back.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Show = o.show(std)
			r, err := history.Topics(cmd.Context(), c)
			return o.report(std, r, r != nil, err, func(w io.Writer) {
				row(w, "published", "%d, of which %d were delivered; %d failed", r.Published, r.Delivered, r.Failed)
				row(w, "ack", "%s", times(r.Ack))
				row(w, "delivery", "%s", times(r.Delivery))
				row(w, "heap of NATS", "%s", size(r.HeapBroker))
				row(w, "heap of the node", "%s", size(r.HeapNode))
				row(w, "heap more after publishing", "%s", size(r.HeapPublished))
				row(w, "ring", "%d messages, %s", r.Ring.Messages, size(uint64(r.Ring.Bytes)))
				row(w, "RSS at the end", "%s", size(r.RSS))
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	cli.CountFlag(flags, &c.Topics, "topics", "topics, with one subscriber each")
	cli.CountFlag(flags, &c.Conns, "conns,c", "connections that share them")
	cli.RateFlag(flags, &c.Rate, "rate,r", "publishes a second")
	cli.CountFlag(flags, &c.Size, "size", "bytes of a message")
	cli.DurationFlag(flags, &c.Time, "time", "how long to publish")
	cli.CountFlag(flags, &c.Shards, "shards", "streams that the topics are in")
	flags.StringVar(&c.Dir, "dir", "", "keep the streams in `folder`; default: a temporary one")
	o.flags(cmd)
	return cmd
}

func newBenchRoom(std cli.Stdio) *cobra.Command {
	var o historyOptions
	c := history.RoomConfig{Sockets: 60_000, PerProcess: 19_000, Messages: 50, Size: 128, Every: 200 * time.Millisecond}
	cmd := &cobra.Command{
		Use:   "room",
		Short: "One message to as many sockets as the machine holds",
		Long: `room runs node processes whose sockets are all in one topic with a history, processes of
clients, and one NATS server, which is in this process. It publishes one message after
the other, waits until every socket has it, and counts: "last" is the time from publish
to the last delivery of a message. CPU and memory are those of the node processes.

A process has at most as many sockets as it may open descriptors: see --per-process.`,
		Args: cli.NoArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program, to start it as node and clients: %w", err)
			}
			c.Self, c.Show = []string{self, "bench", "member"}, o.show(std)
			r, err := history.Room(cmd.Context(), c)
			return o.report(std, r, r != nil, err, func(w io.Writer) {
				want := r.Sockets * r.Messages
				row(w, "sockets", "%d on %d nodes", r.Sockets, r.Nodes)
				row(w, "reach", "%.4g %%: %d of %d", 100*float64(r.Deliveries)/float64(want), r.Deliveries, want)
				row(w, "last", "%s", times(r.Last))
				row(w, "CPU of the nodes for a delivery", "%v", r.CPU)
				row(w, "memory of the nodes for a socket", "%d bytes", r.Memory)
			})
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	cli.CountFlag(flags, &c.Sockets, "conns,c", "sockets in the room")
	cli.CountFlag(flags, &c.PerProcess, "per-process", "sockets of one process at most")
	cli.CountFlag(flags, &c.Messages, "messages", "messages, one after the other")
	cli.CountFlag(flags, &c.Size, "size", "bytes of a message")
	cli.DurationFlag(flags, &c.Every, "every", "pause between two messages")
	o.flags(cmd)
	return cmd
}

// newBenchMember is a process of room.
func newBenchMember(std cli.Stdio) *cobra.Command {
	return &cobra.Command{
		Use:    "member",
		Hidden: true,
		Args:   cli.NoArguments,
		RunE:   func(cmd *cobra.Command, _ []string) error { return history.Child(cmd.Context(), std.In, std.Out) },
	}
}

func (o *historyOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.jsonPath, "json", "", "write the figures to `file` for machines")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
}

// show returns what tells the phase of a run.
func (o *historyOptions) show(std cli.Stdio) func(string) {
	on := newProgress(std.Err, o.quiet).on
	return func(phase string) {
		if on {
			fmt.Fprintln(std.Err, phase)
		}
	}
}

// report writes what was measured, also of a run that failed.
func (o *historyOptions) report(std cli.Stdio, result any, measured bool, failed error, table func(io.Writer)) error {
	if errors.Is(failed, history.ErrConfig) {
		return cli.Usagef("%s", failed)
	}
	if !measured {
		return failed
	}
	w := tabwriter.NewWriter(std.Out, 0, 0, 2, ' ', 0)
	table(w)
	if err := w.Flush(); err != nil {
		return err
	}
	if o.jsonPath != "" {
		err := writeFile(o.jsonPath, func(f *os.File) error { return json.NewEncoder(f).Encode(result) })
		if failed == nil {
			failed = err
		}
	}
	return failed
}

func row(w io.Writer, name, format string, values ...any) {
	fmt.Fprintf(w, "%s\t"+format+"\n", append([]any{name}, values...)...)
}

func times(q history.Quantiles) string {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v", round(q.P50), round(q.P99), round(q.Max))
}

func size(n uint64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
