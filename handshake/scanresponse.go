package handshake

// maxInterim is how many interim responses are skipped.
const maxInterim = 10

// ResponseScanner finds the final response of a server or a proxy. Interim ones (1xx
// but 101, RFC 9110 §15.2) are skipped; more than ten are refused. The zero value
// is ready; use a new one for every request. It belongs to one goroutine at a time.
type ResponseScanner struct {
	scanner Scanner
	start   int // of the head under way
	interim int // responses skipped
}

// Scan looks for the final response in b, which is everything received so far:
// every call passes the octets of the call before, with more behind them. resp is
// nil while more is needed; otherwise n is where it ends. lim bounds each head. The
// error is a *ResponseError.
func (s *ResponseScanner) Scan(b []byte, lim Limits) (resp *Response, n int, err error) {
	for {
		head := b[s.start:]
		n, err := s.scanner.Scan(head, lim)
		if err != nil {
			return nil, 0, refuseHead(err)
		}
		if n == 0 {
			return nil, 0, nil
		}
		resp, err := s.scanner.response(head[:n])
		switch {
		case err != nil:
			return nil, 0, err
		case resp.Status/100 != 1 || resp.Status == 101:
			return resp, s.start + n, nil
		case s.interim == maxInterim:
			return nil, 0, &ResponseError{Reason: "there are too many interim responses"}
		}
		s.interim++
		s.start += n
		s.scanner = Scanner{}
	}
}
