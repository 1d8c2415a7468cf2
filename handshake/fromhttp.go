package handshake

import (
	"maps"
	"slices"
	"strconv"
)

// FromHTTP makes a Request of one that another HTTP server has parsed, so that it
// is judged by the same rules as one read from our own socket. The arguments are
// the fields of an http.Request: Method, RequestURI, Host, Header, Proto and
// ContentLength (-1: a body of unknown length). Everything is copied.
//
// The error is a *Rejection like that of ParseRequest, as the other server may
// have let pass what is refused here. CheckUpgrade is still to be called.
func FromHTTP(method, uri, host string, header map[string][]string, proto string, contentLength int64) (*Request, error) {
	line := method + " " + uri + " " + proto
	if span(line, lineOctet) < len(line) {
		return nil, malformed("the request line holds an octet that is not allowed")
	}
	head := append(make([]byte, 0, 1024), line+"\r\n"...)
	head, err := appendField(head, "Host", host)
	described := false
	for _, name := range slices.Sorted(maps.Keys(header)) {
		if equalFold(name, "Host") {
			continue
		}
		described = described || equalFold(name, "Content-Length") || equalFold(name, "Transfer-Encoding")
		for _, value := range header[name] {
			if err == nil {
				head, err = appendField(head, name, value)
			}
		}
	}
	if err != nil {
		return nil, &Rejection{Status: 400, Reason: "a header is not valid", Cause: err}
	}
	// net/http takes Transfer-Encoding out of the header map.
	switch {
	case described || contentLength == 0:
	case contentLength < 0:
		head = append(head, "Transfer-Encoding: chunked\r\n"...)
	default:
		head = append(head, "Content-Length: "+strconv.FormatInt(contentLength, 10)+"\r\n"...)
	}
	return ParseRequest(append(head, "\r\n"...))
}
