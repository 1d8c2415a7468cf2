package dial

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanloop-go/fanloop/cmd/fanloop/cli"
	"github.com/fanloop-go/fanloop/engine"
)

// dialOptions are the flags of fanloop dial.
type dialOptions struct {
	binary, hex, raw bool
	subprotocols     []string
	headers          []string
	origin           string
	limits           engine.Limits
	count            int
	wait             time.Duration
	waitSet          bool // --wait was given
	closeCode        engine.StatusCode
	closeReason      string
	tls              cli.ClientTLS
	compression      cli.Compression
	unix, proxy      string
	reconnect        bool
	json             bool
	verbose, quiet   bool
}

// New is the command fanloop dial.
func New(std cli.Stdio) *cobra.Command {
	o := dialOptions{
		limits:    engine.Limits{MaxMessage: 16 << 20, MaxQueued: engine.NoLimit, HighWater: 1 << 20}, // lines wait instead
		wait:      time.Second,
		closeCode: engine.StatusNormalClosure,
	}
	cmd := &cobra.Command{
		Use:   "dial URL [flags]",
		Short: "Talk to a WebSocket server from the terminal",
		Long: `dial opens a WebSocket, sends each line of stdin as a message, and prints each
message as a line: text as it is, binary as hex. URL may be ws://, wss://, http:// or
https://; without one of these, ws:// is meant. :9001 is a port of localhost.

At the end of stdin dial stays for answers (--wait), closes the connection, and waits
for the server to answer the close. Ctrl-C closes with 1001.

On a terminal, lines are edited and kept in a history. > marks what you send, < what
you receive. /ping, /close and /help are commands.

With --json, stdout has one object per event and stderr has errors only:
  {"event":"open","time":...,"url":...,"subprotocol":...,"extensions":...,"headers":{...}}
  {"event":"message","time":...,"type":"text","data":"hello"}
  {"event":"message","time":...,"type":"binary","base64":"aGk="}
  {"event":"ping","time":...,"base64":""}       and the same for pong
  {"event":"close","time":...,"code":1000,"reason":...,"error":...}
What is empty is left out, but for data and base64. Code 1005 is a close without a
code, 1006 an end without a close. Without a connection there are no events.

With --reconnect, lines wait for the next connection. Messages under way when a
connection ends are lost.

Exit code:
  0  closed in order: 1000, 1001, 1005, or the --close-code that the server echoed
  1  no connection, or stdin or stdout failed
  2  wrong usage or input
  3  closed with another code, or fewer messages came than --count`,
		Example: `  fanloop dial :9001
  echo hello | fanloop dial -n 1 ws://127.0.0.1:9001/
  fanloop dial -k -v --compression on https://127.0.0.1:9001/
  fanloop dial --unix /tmp/fanloop.sock ws://localhost/
  fanloop dial -s chat -H 'Authorization: Bearer abc' ws://127.0.0.1:9001/
  fanloop dial --json ws://127.0.0.1:9001/ | jq -r 'select(.event == "message").data'`,
		Args: oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.waitSet = cmd.Flags().Changed("wait")
			return o.run(cmd.Context(), std, args[0])
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.binary, "binary", "b", false, "send lines as binary messages")
	flags.BoolVar(&o.hex, "hex", false, "read lines as hex digits and send them as binary messages")
	flags.BoolVar(&o.raw, "raw", false, "print payloads as they are: no hex, escapes or line ends")
	flags.BoolVar(&o.json, "json", false, "print every event as a JSON object on a line: open, message, ping, pong, close")
	flags.StringSliceVarP(&o.subprotocols, "subprotocol", "s", nil, "offer the subprotocol `name`; give the preferred one first")
	flags.StringArrayVarP(&o.headers, "header", "H", nil, "add `header` to the request, as 'Name: value'")
	flags.StringVarP(&o.origin, "origin", "o", "", "send `origin` as the Origin header, such as https://example.com")
	cli.CountFlag(flags, &o.count, "count,n", "after the end of stdin, stay until n messages have come")
	cli.DurationFlag(flags, &o.wait, "wait,w", "after the end of stdin, stay this long; without limit if --count is given alone")
	cli.CodeFlag(flags, &o.closeCode, "close-code", "close with this status code; 0 sends none")
	flags.StringVar(&o.closeReason, "close-reason", "", "close with this `text` as the reason")
	o.tls.AddFlags(flags)
	o.compression.AddFlags(flags)
	flags.StringVar(&o.unix, "unix", "", "connect to the unix socket at `path`, whatever host the URL names")
	flags.StringVarP(&o.proxy, "proxy", "x", "", "connect through the proxy at `url`, http:// or socks5://, or through none; default: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say")
	flags.BoolVar(&o.reconnect, "reconnect", false, "connect again when the connection ends for a reason that may pass")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print what was agreed with the server, what it declined, and its answer")
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print messages and errors only")
	cli.AddLimits(flags, &o.limits, map[string]string{"HandshakeTimeout": "timeout"}, serverLimits...)
	return cmd
}

// serverLimits mean nothing to dial: MaxQueued, since lines wait at HighWater, and
// those of all connections together.
var serverLimits = []string{"MaxQueued", "MaxMemory", "MaxConnections"}

func oneURL(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usagef("dial takes one URL, but there are %d arguments", len(args))
	}
	return nil
}

// run talks until the connection has ended.
func (o *dialOptions) run(ctx context.Context, std cli.Stdio, rawURL string) error {
	opt, err := o.engineOptions()
	if err != nil {
		return err
	}
	to, err := cli.ParseAddress(rawURL)
	if err != nil {
		return err
	}
	return newTalk(o, std, to, opt).run(ctx)
}

// inOrder says whether code is what a connection should end with.
func (o *dialOptions) inOrder(code engine.StatusCode) bool {
	switch code {
	case engine.StatusNormalClosure, engine.StatusGoingAway, engine.StatusNoStatusRcvd:
		return true
	}
	return code == o.closeCode
}

// ifSet formats s unless it is empty.
func ifSet(format, s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf(format, s)
}

// cause is the text of err, "" for none.
func cause(err error) string {
	if err == nil {
		return ""
	}
	return cli.OneLine(err)
}
