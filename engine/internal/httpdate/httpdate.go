// Package httpdate formats the Date header of answers given now.
package httpdate

import (
	"net/http"
	"sync/atomic"
	"time"
)

// Now returns the value of a Date header (RFC 9110 section 6.6.1), formatted once a
// second. It is for peers, and for nothing that keeps time. Any goroutine.
func Now() string {
	now := time.Now()
	if d := last.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &date{second: now.Unix(), text: now.UTC().Format(http.TimeFormat)}
	last.Store(d)
	return d.text
}

// date is a second of the wall clock. Immutable.
type date struct {
	second int64
	text   string
}

var last atomic.Pointer[date]
