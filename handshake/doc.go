// Package handshake is the opening handshake of RFC 6455 (§4) as plain values.
// It does no I/O, starts no goroutine and imports neither net nor net/http:
// bytes go in, bytes and verdicts come out. Header maps are plain
// map[string][]string, to which http.Header is assignable.
//
// # For embedders
//
// Programs with WebSockets use package engine. Use this one to open WebSockets over a
// transport of your own, or to judge a request that another server has parsed
// ([FromHTTP]).
//
// Package engine has [Request], [Response], [Rejection], [StatusError], [ResponseError]
// and [OriginPolicy] in its API: those change when it does. The rest may change in any
// release.
//
// # The way of a request
//
// Through a server:
//
//	bytes so far -> Scanner.Scan         n == 0: read more; error: AppendRejection, close
//	head[:n]     -> Scanner.Request      a Request that owns its text
//	             -> Request.IsUpgrade    false: the request belongs to an http.Handler,
//	                                     and Request.Body finds where it ends
//	             -> Request.CheckUpgrade error: AppendRejection, close
//	             -> an OriginPolicy, SelectSubprotocol, NegotiateDeflate
//	             -> AppendResponse       the 101; the bytes after n are the first frames
//
// Through a client:
//
//	ClientRequest -> AppendClientRequest
//	bytes so far  -> ResponseScanner.Scan -> Response.Check -> Agreed
//
// The parser is strict on purpose. Everything that two HTTP parsers in a row
// could read in two ways (bare CR or LF, obs-fold, a space before the colon, two
// Content-Length fields, a body described twice) is refused, and refused at the
// first byte that shows it.
//
// Functions keep no state and may be called from any goroutine. A Request and a
// Response may be read from any number of goroutines; a Scanner belongs to one.
package handshake
