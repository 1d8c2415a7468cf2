package engine

import (
	"net/http"
	"sync/atomic"
	"time"
)

// httpDate is the Date of an answer given now (RFC 9110 section 6.6.1), put into
// words once a second. It is what peers are told, and nothing that keeps time.
func httpDate() string {
	now := time.Now()
	if d := lastDate.Load(); d != nil && d.second == now.Unix() {
		return d.text
	}
	d := &date{second: now.Unix(), text: now.UTC().Format(http.TimeFormat)}
	lastDate.Store(d)
	return d.text
}

// date is a second of the wall clock. Immutable.
type date struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[date]
