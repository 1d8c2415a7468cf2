package service

import (
	"log/slog"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// refusals count and log what is refused because settings, or a backend's tokens, may be
// wrong. A client does not get these reasons. Any goroutine.
type refusals struct {
	tokens  map[auth.Reason]*loop.Throttle // immutable map
	origins loop.Throttle
}

func newRefusals() *refusals {
	r := &refusals{tokens: make(map[auth.Reason]*loop.Throttle)}
	for _, reason := range auth.Reasons() {
		r.tokens[reason] = new(loop.Throttle)
	}
	return r
}

// counted is how many tokens were refused, by reason.
func (r *refusals) counted() map[auth.Reason]uint64 {
	all := make(map[auth.Reason]uint64, len(r.tokens))
	for reason, lines := range r.tokens {
		all[reason] = lines.Count()
	}
	return all
}

// advice is what an operator looks at first, by the reason for which tokens are refused.
var advice = map[auth.Reason]string{
	auth.ReasonMissing:   "the client brought no token; give it getToken",
	auth.ReasonSize:      "a token has at most 16 KiB",
	auth.ReasonSpace:     "the token begins or ends with white space; answer it without a line end",
	auth.ReasonFormat:    "a token is a JWT: three parts of base64url, separated by dots",
	auth.ReasonHeader:    "the header has a member that is not supported, or a typ other than JWT",
	auth.ReasonKey:       "no key of accounts has the kid of the token; a key without an id is for tokens without kid",
	auth.ReasonAlgorithm: "the alg of the token is not that of its key in accounts",
	auth.ReasonSignature: "it was signed with another secret or key; the secret is the text of its file without the line end",
	auth.ReasonClaims:    "sub, iat and exp are required, times are numbers of seconds, and no claim is there twice",
	auth.ReasonName:      "the user, a topic or a namespace breaks the rules for names; the client gets which",
	auth.ReasonAudience:  "compare aud with accounts.audience; where that is empty, a token has no aud",
	auth.ReasonIssuer:    "compare iss with accounts.issuer",
	auth.ReasonLifetime:  "exp is more than accounts.max-lifetime after iat",
	auth.ReasonPurpose:   "a topic token to connect, the reverse, or a token of another user, session or topic",
	auth.ReasonExpired:   "clients get a new token; if all are refused, compare the clocks",
	auth.ReasonNotYet:    "iat or nbf is in the future; compare the clocks, or raise accounts.leeway",
	auth.ReasonNoKeys:    "the keys of accounts.jwks have not come yet; a line about the fetch says why",
}

// staleAdvice is that of auth.ReasonNoKeys when there were keys.
const staleAdvice = "the keys of accounts.jwks are older than its max-stale and are not used any more: no fetch has succeeded since; a line about the fetch says why"

// adviceFor is the advice of now.
func (s *Service) adviceFor(reason auth.Reason) string {
	if reason == auth.ReasonNoKeys && s.accounts.stale() {
		return staleAdvice
	}
	return advice[reason]
}

// refused notes a token that was refused, without anything of it. Other errors, and nil,
// are passed over. at is what it was shown for.
func (s *Service) refused(err error, at string) {
	reason := auth.ReasonOf(err)
	lines := s.refusals.tokens[reason]
	if lines == nil {
		return
	}
	lines.Log(s.log, slog.LevelInfo, "a token was refused",
		slog.String("reason", string(reason)), slog.String("at", at), slog.String("advice", s.adviceFor(reason)))
}

// refusedOrigin notes a page that may not use this node.
func (s *Service) refusedOrigin(req *handshake.Request) {
	origin, hint := req.Origin(), "if its pages may use the chat, add it to `origins` of the settings; a proxy in front has to pass on the Host of the browser"
	if _, err := handshake.ParseOrigins(origin); err != nil || len(origin) > maxOrigin {
		origin = "of no known form"
	}
	if !s.config.HasAccounts() && handshake.SameHost(req) {
		hint = "without accounts only pages of this machine are served: configure `accounts`, or open the page at localhost"
	}
	s.refusals.origins.Log(s.log, slog.LevelInfo, "a page of another origin was refused",
		slog.String("origin", origin), slog.String("advice", hint))
}

// maxOrigin is how much of a line an origin may take, in bytes.
const maxOrigin = 300
