package hooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	strict "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/protocol"
	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/rules"
)

// Question is the body of a request. Fields that do not matter for a kind are left
// out.
type Question struct {
	Hook    Kind   `json:"hook"` // set by Ask
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"` // of the token
	Address string `json:"address,omitempty"` // of the client, without its port
	// Token is for a backend that makes tokens of its own kind: the service does not
	// check it. It is sent in the body only.
	Token auth.Token `json:"-"`

	Topic string `json:"topic,omitempty"`
	ID    string `json:"id,omitempty"`   // of a publish
	Event string `json:"kind,omitempty"` // of a publish: edit, delete, react ...; empty: a message
	// Target is the message that an edit, a deletion or a reaction is about, and Author is
	// who published that.
	Target *protocol.Target `json:"target,omitempty"`
	Author string           `json:"author,omitempty"`
	Data   json.RawMessage  `json:"data,omitempty"`
}

// body is the question as it is sent, with the token.
func (q Question) body() ([]byte, error) {
	return json.Marshal(struct {
		Question
		Token string `json:"token,omitempty"`
	}{q, q.Token.Reveal()})
}

// Answer is what the backend says. Callers share its maps and slices: do not change
// them.
type Answer struct {
	// Allow is required in every answer.
	Allow bool
	// Reason is why not, for the user: up to 256 bytes.
	Reason string
	// User is who it is, for Connect. Required there.
	User string
	// Session may be set with User; a revocation can name it.
	Session string
	// Name is what people call the user, as names.Display shows it.
	Name string
	// Info is any JSON that others see of the user: up to 4 KiB.
	Info json.RawMessage
	// Expires is when to ask again by Refresh; zero: never.
	Expires time.Time
	// Rights are granted in the topic, for Subscribe.
	Rights rules.Rights
	// Grants are for the connection, for Connect and Refresh.
	Grants rules.Grants
	// Data replaces what is published, for Publish; nil: it stays.
	Data json.RawMessage

	// Asked is when the request began that brought the answer. Others may have asked before
	// you, so it can be earlier than your question.
	Asked time.Time
	// Otherwise: there was no answer, and Config.Otherwise allowed it.
	Otherwise bool
}

// answer is the JSON of an Answer.
type answer struct {
	Allow      *bool               `json:"allow"`
	Reason     string              `json:"reason"`
	User       string              `json:"user"`
	Session    string              `json:"session"`
	Name       string              `json:"name"`
	Info       json.RawMessage     `json:"info"`
	Expires    float64             `json:"expires"` // Unix time
	Rights     []string            `json:"rights"`
	Topics     map[string][]string `json:"topics"`
	Namespaces map[string][]string `json:"namespaces"`
	Data       json.RawMessage     `json:"data"`
}

var errAnswer = errors.New("the answer is not of the form that the documentation shows")

// parseAnswer reads an answer to a question. What is wrong in it makes it none. Data has at
// most so many bytes.
func parseAnswer(q *Question, maxData int, body []byte) (a Answer, err error) {
	raw, err := decodeAnswer(body)
	if err != nil {
		return a, err
	}
	if !*raw.Allow {
		if len(raw.Reason) > 256 {
			raw.Reason = ""
		}
		return Answer{Reason: raw.Reason}, nil
	}
	a = Answer{Allow: true, User: raw.User, Session: raw.Session, Name: names.Display(raw.Name), Info: raw.Info, Data: raw.Data}
	if q.Hook == Connect && a.User == "" {
		return Answer{}, fmt.Errorf("%w: there is no user", errAnswer)
	}
	if a.User != "" {
		if err := names.CheckUser(a.User); err != nil {
			return Answer{}, err
		}
	}
	if len(a.Session) > 128 || strings.ContainsFunc(a.Session, unicode.IsControl) {
		return Answer{}, fmt.Errorf("%w: session has at most 128 bytes and no control characters", errAnswer)
	}
	if err := protocol.CheckData(&a.Info, 4<<10); err != nil {
		return Answer{}, fmt.Errorf("%w: info: %w", errAnswer, err)
	}
	if err := a.checkData(q, maxData); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", errAnswer, err)
	}
	if raw.Expires != 0 {
		if !(raw.Expires > 0 && raw.Expires < 1<<37) {
			return Answer{}, fmt.Errorf("%w: expires", errAnswer)
		}
		a.Expires = time.Unix(int64(math.Floor(raw.Expires)), 0)
	}
	if a.Rights, err = rightsOf(raw.Rights); err != nil {
		return Answer{}, err
	}
	if a.Grants.Topics, err = grantsOf(raw.Topics, names.CheckTopic); err != nil {
		return Answer{}, err
	}
	if a.Grants.Namespaces, err = grantsOf(raw.Namespaces, rules.CheckGranted); err != nil {
		return Answer{}, err
	}
	return a, nil
}

// decodeAnswer reads JSON as that of clients is read: names occur once and are written as
// they are. Errors have nothing of the answer.
func decodeAnswer(body []byte) (*answer, error) {
	raw := new(answer)
	err := strict.Unmarshal(body, raw)
	syntax, isSyntax := errors.AsType[*jsontext.SyntacticError](err)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return nil, fmt.Errorf("%w: a name occurs twice", errAnswer)
	case isSyntax:
		return nil, fmt.Errorf("%w: it is not JSON at byte %d", errAnswer, syntax.ByteOffset)
	case err != nil:
		return nil, fmt.Errorf("%w: a member has the wrong type", errAnswer)
	case raw.Allow == nil:
		return nil, fmt.Errorf("%w: there is no allow", errAnswer)
	}
	return raw, nil
}

// checkData checks what replaces the data of a publish as the publish was checked.
func (a *Answer) checkData(q *Question, most int) error {
	if q.Hook != Publish || a.Data == nil {
		return nil
	}
	c := &protocol.Publish{Topic: q.Topic, ID: q.ID, Kind: q.Event, Target: q.Target, Data: a.Data}
	if err := protocol.Check(c, protocol.Limits{Data: most}); err != nil {
		return err
	}
	a.Data = c.Data
	return nil
}

// grantsOf reads names with lists of rights. A name that check refuses is an error of it.
func grantsOf(raw map[string][]string, check func(string) error) (map[string]rules.Rights, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > 1024 {
		return nil, fmt.Errorf("%w: too many grants", errAnswer)
	}
	all := make(map[string]rules.Rights, len(raw))
	for name, rights := range raw {
		if err := check(name); err != nil {
			return nil, err
		}
		set, err := rightsOf(rights)
		if err != nil {
			return nil, err
		}
		all[name] = set
	}
	return all, nil
}

func rightsOf(names []string) (set rules.Rights, err error) {
	for _, name := range names {
		right, err := rules.ParseRight(name)
		if err != nil {
			return 0, fmt.Errorf("%w: %w", errAnswer, err)
		}
		set |= rules.Rights(right)
	}
	return set, nil
}
