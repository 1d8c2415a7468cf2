// Package auth reads the tokens that say who a user is and what he may do.
//
// A token is a JWT that your backend signs. A connection token names the user; a topic
// token gives rights in one topic to a user who is connected. [Verifier] checks both,
// with keys that are configured or come from a JWKS ([Remote]). It never waits: no
// check of a token asks the network.
//
// Each key has one algorithm, which is configured or in the JWKS, and a token that
// names another is refused. Of a token's header only alg and kid matter, and kid is
// only looked up in a map. A header that asks for more (jku, x5u, jwk, crit and
// others) is refused. The signature is checked before anything of the claims is
// parsed.
//
// All tokens that cannot be trusted get one error, [ErrInvalid], with one text. Its
// reason is for your metrics and logs: [ReasonOf]. A [Token] never shows itself: not
// printed, logged or encoded.
//
// Package revoke ends tokens before their time.
package auth
