package handshake

import (
	"errors"
	"iter"
	"strconv"
	"strings"
)

// Causes that a *Rejection of Scanner.Scan, ParseRequest and ParseResponse wraps.
var (
	// ErrMalformedHead: the octets are not a head of HTTP/1.1.
	ErrMalformedHead = errors.New("malformed head")
	// ErrHeadTooLarge: the head is over the Limits. A *LimitError, which wraps it,
	// says over which.
	ErrHeadTooLarge = errors.New("head too large")
)

// LimitError says which of the Limits a head is over.
type LimitError struct {
	Limit string // MaxHead or MaxHeaders
	Max   int    // its value
}

func (e *LimitError) Error() string {
	what := " bytes"
	if e.Limit == "MaxHeaders" {
		what = " header lines"
	}
	return "the head has more than " + strconv.Itoa(e.Max) + what + ", raise Limits." + e.Limit
}

// Unwrap gives ErrHeadTooLarge.
func (e *LimitError) Unwrap() error { return ErrHeadTooLarge }

// The statuses of a Rejection.
const (
	MinRejection = 300
	MaxRejection = 599
)

// Rejection is a handshake refused, and the HTTP answer that says so.
// AppendRejection writes that answer.
type Rejection struct {
	// Status is the HTTP status, 300 to 599. Anything else is sent as 500.
	Status int
	// Reason is the text of the body. The peer sees it. Empty: the status text.
	Reason string
	// Header holds further headers of the answer.
	Header map[string][]string
	// Cause is for the own log. The peer never sees it.
	Cause error
}

// Reject makes the error with which an application refuses a request, for
// instance Reject(403, "not here").
func Reject(status int, reason string) *Rejection {
	return &Rejection{Status: status, Reason: reason}
}

// WithHeader adds a header to the answer and returns r:
//
//	Reject(401, "log in first").WithHeader("WWW-Authenticate", "Bearer")
//
// It changes r, so call it on a Rejection that nobody else has.
func (r *Rejection) WithHeader(name, value string) *Rejection {
	if r.Header == nil {
		r.Header = make(map[string][]string, 1)
	}
	name = canonical(name)
	r.Header[name] = append(r.Header[name], value)
	return r
}

func (r *Rejection) Error() string {
	s := "handshake: " + strconv.Itoa(r.Status)
	if text := statusText(r.Status); text != "" {
		s += " " + text
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	if r.Cause != nil {
		s += ": " + r.Cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (r *Rejection) Unwrap() error { return r.Cause }

func malformed(reason string) error {
	return &Rejection{Status: 400, Reason: reason, Cause: ErrMalformedHead}
}

func tooLarge(status int, reason, limit string, max int) error {
	return &Rejection{Status: status, Reason: reason, Cause: &LimitError{Limit: limit, Max: max}}
}

// RejectionOf gives what err is answered with: the *Rejection that it is or wraps,
// or a 500 without text if it has none with a valid status.
func RejectionOf(err error) *Rejection {
	var r *Rejection
	if !errors.As(err, &r) || r == nil || r.Status < MinRejection || r.Status > MaxRejection {
		return &Rejection{Status: 500}
	}
	return r
}

// AppendRejection appends the whole HTTP/1.1 answer that err stands for, after
// which the connection is closed: it says Connection: close and carries the reason
// as a text/plain body. method is that of the request, "" if it is not known: an
// answer to HEAD has no body. date is the Date of the answer (RFC 9110 §5.6.7), "" for
// none.
//
// RejectionOf says what err is answered with, and Fields and Text which of its headers
// and what body are sent. A 426 without an Upgrade says websocket.
func AppendRejection(dst []byte, err error, method, date string) []byte {
	r := RejectionOf(err)
	text := r.Text()
	dst = r.appendStart(dst, date)
	if r.Status != 304 {
		dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\nContent-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(text)), 10)
		dst = append(dst, "\r\n"...)
	}
	for name, value := range r.Fields() {
		dst, _ = appendField(dst, name, value) // Fields are valid
	}
	dst = append(dst, "\r\n"...)
	if r.Status == 304 || method == "HEAD" { // RFC 9112 §6.3
		return dst
	}
	return append(dst, text...)
}

// appendStart appends the status line, and what every answer says about itself and
// its connection.
func (r *Rejection) appendStart(dst []byte, date string) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(r.Status)...)
	if date != "" {
		dst = append(dst, "\r\nDate: "...)
		dst = append(dst, date...)
	}
	dst = append(dst, "\r\nConnection: close"...)
	if upgrade := r.UpgradeTo(); upgrade != "" {
		dst = append(dst, ", Upgrade\r\nUpgrade: "...) // RFC 9110 §7.8
		dst = append(dst, upgrade...)
	}
	return append(dst, "\r\n"...)
}

// UpgradeTo gives the Upgrade header of the answer, "" for none: that of Header, or
// websocket for a 426, which has to say it (RFC 9110 §15.5.22).
func (r *Rejection) UpgradeTo() string {
	for name, values := range r.Header {
		if value := strings.Join(values, ", "); equalFold(name, "Upgrade") && value != "" && isValue(value) {
			return value
		}
	}
	if r.Status == 426 {
		return "websocket"
	}
	return ""
}

// Fields yields the headers of r that its answer carries, one value at a time. Left out are
// those that would end a line, that belong to the connection (Connection, Upgrade,
// Transfer-Encoding and the like), and that describe the body, which is that of Text.
func (r *Rejection) Fields() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for name, values := range r.Header {
			if !isToken(name) || answersItself(name) {
				continue
			}
			for _, value := range values {
				if isValue(value) && !yield(name, value) {
					return
				}
			}
		}
	}
}

// answersItself names the headers that an answer has by itself, or that would contradict
// it.
func answersItself(name string) bool {
	for _, n := range [...]string{
		"Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
		"Date", "Content-Type", "Content-Encoding", "Content-Length",
	} {
		if equalFold(name, n) {
			return true
		}
	}
	return false
}

// Text returns the body of the answer: Reason, or else the status text, as one line. A
// control octet becomes a space.
func (r *Rejection) Text() string {
	reason := r.Reason
	if reason == "" {
		reason = statusText(r.Status)
	}
	line := append([]byte(reason), '\n')
	for i, c := range line[:len(reason)] {
		if octets[c]&valueOctet == 0 {
			line[i] = ' '
		}
	}
	return string(line)
}

// statusText gives the reason phrase of a status, "" for one that a handshake is
// never answered with.
func statusText(status int) string {
	switch status {
	case 101:
		return "Switching Protocols"
	case 301:
		return "Moved Permanently"
	case 302:
		return "Found"
	case 303:
		return "See Other"
	case 307:
		return "Temporary Redirect"
	case 308:
		return "Permanent Redirect"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 407:
		return "Proxy Authentication Required"
	case 408:
		return "Request Timeout"
	case 409:
		return "Conflict"
	case 410:
		return "Gone"
	case 413:
		return "Content Too Large"
	case 414:
		return "URI Too Long"
	case 421:
		return "Misdirected Request"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 500:
		return "Internal Server Error"
	case 501:
		return "Not Implemented"
	case 502:
		return "Bad Gateway"
	case 503:
		return "Service Unavailable"
	case 504:
		return "Gateway Timeout"
	case 505:
		return "HTTP Version Not Supported"
	}
	return ""
}
