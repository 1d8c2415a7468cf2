package handshake

// ResponseBody reads the body of a response in pieces, without the chunked coding.
// Response.Body makes it. It belongs to one goroutine at a time.
type ResponseBody struct {
	body  Body
	toEnd bool // of the connection: neither length nor coding is given
}

// Body gives what reads the body of the response, which answers a GET (RFC 9112 §6.3).
func (r *Response) Body() ResponseBody {
	length, lengths := r.only(lengthHeader)
	switch {
	case r.Status/100 == 1 || r.Status == 204 || r.Status == 304:
		return ResponseBody{}
	case r.hasElement(codingHeader, "chunked"):
		return ResponseBody{body: Body{at: inChunkSize}}
	case lengths != 1 || !isNumber(length):
		return ResponseBody{toEnd: true}
	}
	return ResponseBody{body: counted(length)}
}

// Append appends what b has of the body to dst, up to max octets there. b is what
// follows the octets given before. done says that no more is to come: the body has
// ended or is malformed, or dst has max octets. lim bounds a trailer section.
func (s *ResponseBody) Append(dst, b []byte, max int, lim Limits) (out []byte, done bool) {
	if s.toEnd {
		dst = append(dst, b[:min(len(b), max-len(dst))]...)
		return dst, len(dst) == max
	}
	for s.body.at != bodyEnd && len(b) > 0 && len(dst) < max {
		data := s.body.at == inCounted || s.body.at == inChunk
		n, err := s.body.step(b, lim)
		if err != nil {
			return dst, true
		}
		if n == 0 { // a trailer section that is not whole: the body is
			return dst, true
		}
		if data {
			dst = append(dst, b[:min(n, max-len(dst))]...)
		}
		b = b[n:]
	}
	return dst, s.body.at == bodyEnd || len(dst) == max
}
