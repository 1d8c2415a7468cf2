// Package client has the JavaScript client of the chat: one ES module without
// dependencies, for browsers and Node. README.md says how to use it.
package client

import (
	"bytes"
	"embed"
	"regexp"
	"sync"
)

//go:embed *.js
var sources embed.FS

//go:embed types.d.ts
var types []byte

// Types returns types.d.ts: what an application sees of the module, for TypeScript. Do not
// change it.
func Types() []byte { return types }

// parts are the sources in the order in which they stand in the module: each
// imports only from those before it.
var parts = []string{
	"base.js", "frames.js", "alarm.js", "codes.js", "tokens.js", "transport.js", "attempts.js", "link.js", "returning.js", "connector.js", "session.js",
	"live.js", "outgoing.js", "lookup.js", "outbox.js", "chain.js", "subscription.js", "topic.js", "fanloop.js",
}

// Module returns the client as one ES module: its sources joined, without
// comments, indentation, and the spaces and line ends that say nothing. Do not change it.
var Module = sync.OnceValue(func() []byte {
	var module bytes.Buffer
	for i, name := range parts {
		source, err := sources.ReadFile(name)
		if err != nil {
			panic(err) // parts names what is embedded; a test joins them
		}
		module.Write(join(source, i == len(parts)-1))
	}
	return shorten(module.Bytes())
})

// shorten gives private names of two letters, which are seen nowhere outside.
func shorten(module []byte) []byte {
	short := map[string][]byte{}
	return privates.ReplaceAllFunc(module, func(name []byte) []byte {
		if short[string(name)] == nil {
			n := len(short)
			short[string(name)] = []byte{'#', 'a' + byte(n%26), 'a' + byte(n/26)}
		}
		return short[string(name)]
	})
}

var (
	docComment = regexp.MustCompile(`(?s)/\*\*.*?\*/ ?`)
	comment    = regexp.MustCompile(`(?m)(^|\s)// .*$`)
	imports    = regexp.MustCompile(`(?m)^import .* from "\./.*";\n`)
	exports    = regexp.MustCompile(`(?m)^export `)
	indents    = regexp.MustCompile(`(?m)^\s+`)
	lineEnds   = regexp.MustCompile(`([;{,])\n`)
	privates   = regexp.MustCompile(`#[a-zA-Z]+`)
	// Texts come first, so that what is in them is no operator.
	operators = regexp.MustCompile("\"[^\"\n]*\"|`[^`]*`|\n}| ?[-=+*,:?&|(){}<>!;]+ ?")
)

// join prepares one source: what it takes from another is in the same module
// now, and only the last one's exports are the module's.
func join(source []byte, last bool) []byte {
	for _, pattern := range []*regexp.Regexp{docComment, comment, imports, indents} {
		source = pattern.ReplaceAll(source, nil)
	}
	if !last {
		source = exports.ReplaceAll(source, nil)
	}
	source = lineEnds.ReplaceAll(source, []byte("$1"))
	return operators.ReplaceAllFunc(source, func(found []byte) []byte {
		if found[0] == '"' || found[0] == '`' {
			return found
		}
		return bytes.TrimSpace(found)
	})
}
