package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math"
	"mime"
	"net/http"
	"os"
	"strings"

	"github.com/go-json-experiment/json"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/api"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/idempotency"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/nodes"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/revoke"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/survive"
)

// maxBody is the size of a request at most, in bytes.
const maxBody = 1 << 20

// serveCall answers one call of the server API.
func (h *Handler) serveCall(c *call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		caller, ok := h.caller(w, r)
		if !ok {
			return
		}
		trace.SpanFromContext(r.Context()).SetAttributes(attribute.String("fanloop.caller", caller.Name))
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			refuse(w, http.StatusMethodNotAllowed, "method", "use POST")
			return
		}
		if !caller.Calls[c.right] {
			refuse(w, http.StatusForbidden, string(protocol.Forbidden), "the caller may not do "+c.right.String())
			return
		}
		body, ok := readBody(w, r)
		if !ok {
			return
		}
		response, err := h.carryOut(r, c, caller, body)
		if err != nil {
			write(w, h.problem(c, err))
			return
		}
		answer(w, "application/json", response.Status, response.Body)
	}
}

// problem is problemOf. What is a fault of the node is logged.
func (h *Handler) problem(c *call, err error) *api.Problem {
	p := problemOf(err)
	if p.Code == string(protocol.Internal) {
		h.failed.Log(h.config.Log, slog.LevelError, "a call of the server API failed",
			append(survive.Attrs(err), slog.String("call", c.path))...)
	}
	return p
}

// caller is who shows a key or a certificate. Requests of browsers are refused: a key that a
// page has is everybody's. A browser sends Origin with every POST, and Sec-Fetch-Site to a
// trustworthy URL; Sec-Fetch-Mode alone is sent by the fetch of Node, which is no browser.
func (h *Handler) caller(w http.ResponseWriter, r *http.Request) (rules.Caller, bool) {
	if r.Header["Origin"] != nil || r.Header["Sec-Fetch-Site"] != nil {
		refuse(w, http.StatusForbidden, string(protocol.Forbidden), "the server API is for backends, and not for browsers")
		return rules.Caller{}, false
	}
	key, ok := bearer(r)
	if ok {
		caller, known := h.config.Callers.Find(key)
		if known {
			return caller, true
		}
	} else if caller, known := h.config.Callers.FindCertificate(certified(r)); known {
		return caller, true
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="server API"`)
	refuse(w, http.StatusUnauthorized, string(protocol.Unauthorized), "show a caller's key (Authorization: Bearer KEY) or certificate")
	return rules.Caller{}, false
}

// readBody reads what was posted, or answers why not.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		refuse(w, http.StatusUnsupportedMediaType, "media_type", "want Content-Type: application/json")
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		refuse(w, http.StatusRequestEntityTooLarge, string(protocol.TooLarge), "the body has more than 1 MiB")
	case errors.Is(err, os.ErrDeadlineExceeded):
		write(w, problemOf(err))
	case err != nil:
		refuse(w, http.StatusBadRequest, string(protocol.BadFrame), "the body ended early")
	}
	return body, err == nil
}

// carryOut does what a call asks for: once for each idempotency key.
func (h *Handler) carryOut(r *http.Request, c *call, caller rules.Caller, body []byte) (idempotency.Response, error) {
	one := &request{node: h.config.Node, caller: caller, problem: func(err error) *api.Problem { return h.problem(c, err) }}
	do := func(ctx context.Context) (idempotency.Response, error) {
		var answer any
		err := survive.Do(func() (err error) { answer, err = c.serve(ctx, one, body); return err })
		if err != nil {
			return idempotency.Response{}, err
		}
		text, err := json.Marshal(answer)
		return idempotency.Response{Status: http.StatusOK, Body: text}, err
	}
	all := r.Header.Values("Idempotency-Key")
	if len(all) == 0 || !c.changes {
		return do(r.Context())
	}
	key := idempotency.Key{Caller: caller.Name, Route: "POST " + c.path, Name: all[0]}
	if len(all) > 1 {
		return idempotency.Response{}, idempotency.ErrKey
	}
	if err := key.Check(); err != nil { // also an empty one: who sends it wants to be safe
		return idempotency.Response{}, err
	}
	one.key = key.MessageID
	response, _, err := h.keys.Do(r.Context(), key, body, do)
	return response, err
}

// decode reads a request. What it does not know is a mistake.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	detail := "the body is not JSON of this call"
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		detail = "the body does not fit"
		if semantic.JSONPointer != "" {
			detail = string(semantic.JSONPointer) + " does not fit"
		}
		if errors.Is(err, json.ErrUnknownName) {
			detail = string(semantic.JSONPointer) + " is not known"
		}
		return protocol.Fail(nil, protocol.BadField, detail)
	}
	return protocol.Fail(nil, protocol.BadFrame, detail)
}

// unconfirmed reports that some nodes have done it, and not all have said so.
func unconfirmed(err error) bool {
	return errors.Is(err, nodes.ErrUnconfirmed) || errors.Is(err, revoke.ErrUnconfirmed)
}

// statuses are those of HTTP for codes; 500 for others.
var statuses = map[protocol.Code]int{
	protocol.BadFrame: 400, protocol.BadField: 400, protocol.BadName: 400, protocol.BadTarget: 400, protocol.UnknownKind: 400,
	protocol.TooLarge: 413, protocol.Forbidden: 403, protocol.UnknownTopic: 404, protocol.Off: 409, protocol.PositionLost: 410,
	protocol.RateLimited: 429, protocol.Overloaded: 503, protocol.Unavailable: 503,
}

// problemOf is what a caller gets to know of an error.
func problemOf(err error) *api.Problem {
	problem := func(status int, code, detail string) *api.Problem {
		p := &api.Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
		if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
			p.Retry = 1
		}
		return p
	}
	var fault *protocol.Error
	var code protocol.Code
	var name *names.Error
	switch {
	case errors.As(err, &name):
		return problem(400, string(protocol.BadName), "the "+name.What+" "+name.Reason)
	case errors.Is(err, rules.ErrDenied):
		return problem(403, string(protocol.Forbidden), "the caller may not do this there")
	case errors.Is(err, rules.ErrNamespace):
		return problem(404, string(protocol.UnknownTopic), "there is no such namespace")
	case errors.Is(err, rules.ErrNoHistory):
		return problem(409, string(protocol.Off), "the topic keeps no history")
	case errors.Is(err, idempotency.ErrKey):
		return problem(400, "bad_key", "an idempotency key has 1 to 128 visible characters of ASCII")
	case errors.Is(err, idempotency.ErrOtherBody):
		return problem(422, "key_reused", "the idempotency key was used for another body; take a new one")
	case errors.Is(err, idempotency.ErrForgotten):
		return problem(409, "answer_lost", "the request was carried out; its answer was not kept")
	case errors.Is(err, idempotency.ErrBusy):
		return problem(503, string(protocol.Overloaded), "too many requests of the caller are under way")
	case unconfirmed(err):
		detail := "not all nodes have confirmed it; repeat the call with the same key"
		if silent, is := errors.AsType[*nodes.UnconfirmedError](err); is {
			detail = "no answer of " + strings.Join(silent.Nodes, ", ") + "; repeat the call with the same key"
		}
		return problem(503, "unconfirmed", detail)
	case errors.Is(err, revoke.ErrRevocation):
		return problem(400, string(protocol.BadName), "a name has 1 to 128 bytes")
	case errors.Is(err, revoke.ErrFull):
		p := problem(503, string(protocol.Overloaded), "the list of revocations is full: nothing was revoked; raise accounts.max-revocations, or revoke the user")
		p.Retry = max(1, int(math.Ceil(revoke.WaitOf(err).Seconds())))
		return p
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem(408, "timeout", "the body took too long")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return problem(503, string(protocol.Unavailable), "it took too long")
	case errors.As(err, &fault) && statuses[fault.Code] != 0:
		return problem(statuses[fault.Code], string(fault.Code), fault.Message)
	case errors.As(err, &code) && statuses[code] != 0:
		return problem(statuses[code], string(code), "")
	}
	return problem(500, string(protocol.Internal), "the log of the node says more")
}
