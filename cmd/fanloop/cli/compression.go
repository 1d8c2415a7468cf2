package cli

import (
	"errors"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"github.com/fanloop-go/fanloop/engine"
)

// Compression are the flags of permessage-deflate (RFC 7692).
type Compression struct {
	kind                   compressionKind
	serverBits, clientBits int // of the windows; 0: as large as may be
}

// compressionKind is the value of --compression.
type compressionKind int

const (
	compressionOff compressionKind = iota
	compressionOn
	compressionTakeover // with context takeover
)

var compressionKinds = []string{"off", "on", "takeover"}

func (o *Compression) AddFlags(flags *pflag.FlagSet) {
	format := func(k compressionKind) string { return compressionKinds[k] }
	flags.Var(&value[compressionKind]{p: &o.kind, kind: "kind", parse: parseCompression, format: format, choices: compressionKinds}, "compression",
		"permessage-deflate: off, on, or takeover to refer back to earlier messages")
	bitsFlag := func(p *int, name, usage string) {
		flags.Var(&value[int]{p: p, kind: "bits", parse: parseWindowBits, format: strconv.Itoa}, name, usage)
	}
	bitsFlag(&o.serverBits, "server-window-bits", "how far back what the server sends may refer: 8 to 15, for 256 bytes to 32 KiB; 0: 15")
	bitsFlag(&o.clientBits, "client-window-bits", "the same for what the client sends")
}

// engine is what the flags mean to the engine. Messages of threshold bytes are
// compressed; 0 is the engine's default. If MaxMessage is a limit, it alone
// bounds what inflates, however much it repeats itself; if it is none, the ratio
// does.
func (o *Compression) Engine(threshold int, limits engine.Limits) (*engine.Compression, error) {
	if o.kind == compressionOff {
		if o.serverBits != 0 || o.clientBits != 0 {
			return nil, Usagef("--server-window-bits and --client-window-bits are for --compression on or takeover")
		}
		return nil, nil
	}
	takeover := o.kind == compressionTakeover
	maxRatio := 0
	if limits.MaxMessage == engine.NoLimit {
		maxRatio = 200
	}
	return &engine.Compression{
		ServerContextTakeover: takeover,
		ClientContextTakeover: takeover,
		ServerMaxWindowBits:   o.serverBits,
		ClientMaxWindowBits:   o.clientBits,
		Threshold:             threshold,
		MaxRatio:              maxRatio,
	}, nil
}

func parseCompression(s string) (compressionKind, error) {
	name, err := choose(s, compressionKinds)
	return compressionKind(slices.Index(compressionKinds, name)), err
}

func parseWindowBits(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && (n == 0 || n >= 8 && n <= 15) {
		return n, nil
	}
	return 0, errors.New("want 8 to 15, or 0 for no bound")
}
