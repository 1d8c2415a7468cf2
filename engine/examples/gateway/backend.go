package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine"
)

// backends are the TCP servers by name.
type backends map[string]*backend

// backend is one TCP server. Immutable, but for the count.
type backend struct {
	name, addr string
	limits     engine.Limits // of its endpoint
	maxConns   int           // of that
	open       atomic.Int32  // tunnels
}

var nameRule = regexp.MustCompile(`^[a-z0-9-]+$`) // it becomes a part of a pattern

// add adds the backend of a flag such as redis=localhost:6379?idle=5m.
func (all backends) add(flag string) (err error) {
	name, target, _ := strings.Cut(flag, "=")
	if !nameRule.MatchString(name) || all[name] != nil {
		return fmt.Errorf("%q is no name, or given twice; use a-z, 0-9 and -", name)
	}
	addr, query, _ := strings.Cut(target, "?")
	options, err := url.ParseQuery(query)
	if err != nil {
		return err
	}
	b := &backend{name: name, addr: addr, limits: engine.Limits{MaxQueued: 256 << 10}, maxConns: 1000}
	for option, values := range options {
		switch option {
		case "idle":
			b.limits.IdleTimeout, err = time.ParseDuration(values[0])
		case "queue":
			b.limits.MaxQueued, err = strconv.Atoi(values[0])
		case "conns":
			b.maxConns, err = strconv.Atoi(values[0])
		default:
			err = fmt.Errorf("unknown option %q; use idle, queue or conns", option)
		}
		if err != nil {
			return err
		}
	}
	all[name] = b
	return b.limits.Validate()
}
