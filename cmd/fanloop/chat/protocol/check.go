package protocol

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/names"
	"github.com/fanloop-go/fanloop/engine/cluster"
)

// Bounds of members that have no limit of their own.
const (
	maxToken   = 16 << 10
	maxSession = 128
	maxClient  = 128
	maxEpoch   = 128
	maxKinds   = 16
)

// Check returns an [*Error] that says what is wrong with a command that [Commands] did not
// read, nil if nothing is. It leaves the command as Commands does. Its text is taken for
// well-formed, as a strict decoder has it; Data is checked.
func Check(c Command, limits Limits) error {
	if fault := check(c, &limits); fault != nil {
		return fault
	}
	return nil
}

// check returns what is wrong with a command that could be read, nil if nothing is.
// It leaves the command as the session wants it: a mode is one of the constants, and
// data is without white space.
func check(c Command, limits *Limits) *Error {
	err := checkMembers(c, limits)
	if err == nil {
		return nil
	}
	code, text := BadField, err.Error()
	var fault *Error
	if errors.As(err, &fault) {
		code, text = fault.Code, fault.Message
	}
	var name *names.Error
	if errors.As(err, &name) {
		text = "the " + name.What + " " + name.Reason
		if name.What != "id" && name.What != "reaction" {
			code = BadName
		}
	}
	e := Fail(c, code, text)
	if code == BadName || e.ID != "" && names.CheckID(e.ID) != nil {
		e.Topic, e.ID = "", "" // not repeated: it may be large
	}
	return e
}

func checkMembers(c Command, limits *Limits) error {
	switch c := c.(type) {
	case *Connect:
		return checkConnect(c)
	case *Subscribe:
		return checkSubscribe(c)
	case *Unsubscribe:
		return first(names.CheckTopic(c.Topic), checkAttempt(c.Attempt))
	case *Publish:
		return checkPublish(c, limits)
	case *History:
		return checkHistory(c)
	case *GetPresence:
		err := names.CheckTopic(c.Topic)
		if c.After != "" {
			err = first(err, names.CheckUser(c.After))
		}
		return first(err, checkCount("limit", c.Limit))
	case *Set:
		return checkSet(c, limits)
	case *Read:
		return first(names.CheckTopic(c.Topic), checkPosition("pos", c.Pos, true))
	case *Unread:
		return first(names.CheckTopic(c.Topic), checkPosition("pos", c.Pos, true))
	case *Refresh:
		return checkRefresh(c)
	}
	return nil
}

// first returns the first error.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func checkConnect(c *Connect) error {
	if c.Version != Version {
		return Fail(nil, UnsupportedVersion, fmt.Sprintf("this is version %d", Version))
	}
	err := first(checkLength("token", c.Token, maxToken), checkLength("session", c.Session, maxSession), checkLength("client", c.Client, maxClient))
	if c.User != "" {
		err = first(err, names.CheckUser(c.User))
	}
	return err
}

func checkSubscribe(c *Subscribe) error {
	if c.Mode == "live" {
		c.Mode = Live
	}
	if c.Mode != Live && c.Mode != Passive {
		return errors.New("mode is live or passive")
	}
	if len(c.Kinds) > maxKinds {
		return fmt.Errorf("kinds has more than %d", maxKinds)
	}
	for _, kind := range c.Kinds {
		if err := names.CheckKind(kind); err != nil {
			return err
		}
	}
	return first(names.CheckTopic(c.Topic), checkAttempt(c.Attempt), checkLength("token", c.Token, maxToken),
		checkPosition("pos", c.Pos, false), checkCount("last", c.Last))
}

func checkPublish(c *Publish, limits *Limits) error {
	err := first(names.CheckTopic(c.Topic), names.CheckID(c.ID))
	if c.Kind != "" {
		err = first(err, names.CheckKind(c.Kind))
	}
	if t := c.Target; t != nil && (t.Offset == 0 || cluster.CheckID(t.ID) != nil || t.ID == "") {
		err = first(err, errors.New("target has no offset, or no id that a message may have"))
	}
	return first(err, checkKind(c), CheckData(&c.Data, limits.Data))
}

// checkKind checks that what the service knows has what it needs.
func checkKind(c *Publish) error {
	switch c.Kind {
	case KindEdit:
		if c.Target == nil || c.Data == nil {
			return errors.New("edit has a target and data")
		}
	case KindReact, KindUnreact:
		return checkReaction(c)
	case KindUnreadable:
		return fmt.Errorf("the kind %s is the service's", c.Kind)
	case KindDelete:
		if c.Target == nil || c.Data != nil {
			return errors.New("delete has a target and no data")
		}
	default:
		if c.Data == nil {
			return errors.New("data is missing")
		}
	}
	return nil
}

// checkReaction takes a text: reactions are counted by it.
func checkReaction(c *Publish) error {
	var reaction string
	if c.Target == nil || c.Data == nil || json.Unmarshal(c.Data, &reaction) != nil {
		return fmt.Errorf("%s has a target, and a text as data", c.Kind)
	}
	return names.CheckReaction(reaction)
}

func checkHistory(c *History) error {
	if c.Before != nil && c.After != nil {
		return errors.New("before and after exclude each other")
	}
	return first(names.CheckTopic(c.Topic), checkPosition("before", c.Before, false), checkPosition("after", c.After, false), checkCount("limit", c.Limit))
}

func checkSet(c *Set, limits *Limits) error {
	err := first(names.CheckTopic(c.Topic), names.CheckKind(c.Kind))
	if c.Key != "" {
		err = first(err, names.CheckKey(c.Key))
	}
	return first(err, CheckData(&c.Data, limits.Data))
}

func checkRefresh(c *Refresh) error {
	switch {
	case c.Token == "":
		return errors.New("token is missing")
	case c.Topic == "":
		return checkLength("token", c.Token, maxToken)
	}
	return first(names.CheckTopic(c.Topic), checkAttempt(c.Attempt), checkLength("token", c.Token, maxToken))
}

func checkAttempt(n uint32) error {
	if n == 0 {
		return errors.New("attempt is a number from 1 on")
	}
	return nil
}

func checkCount(name string, n int) error {
	if n < 0 {
		return fmt.Errorf("%s is negative", name)
	}
	return nil
}

func checkLength(name, value string, max int) error {
	if len(value) > max {
		return fmt.Errorf("%s is longer than %d bytes", name, max)
	}
	return nil
}

// checkPosition takes what a server may have given out.
func checkPosition(name string, p *Position, required bool) error {
	switch {
	case p == nil && required:
		return fmt.Errorf("%s is missing", name)
	case p == nil:
		return nil
	case p.Epoch == "" || len(p.Epoch) > maxEpoch || cluster.CheckID(p.ID) != nil:
		return fmt.Errorf("%s is no position", name)
	}
	return nil
}

// CheckData returns an [*Error] unless data may be in a message: JSON of at most so many
// bytes, without a name that occurs twice in an object, in valid UTF-8, and no deeper than fits
// into a frame. It takes white space out of it, so that it has no line ends. Nil is left.
func CheckData(data *Data, most int) error {
	if *data == nil {
		return nil
	}
	if len(*data) > most {
		return Fail(nil, TooLarge, fmt.Sprintf("data has %d bytes; the limit is %d", len(*data), most))
	}
	compact, ok := compactOf(*data)
	if !ok {
		return Fail(nil, BadFrame, errData.Error())
	}
	*data = compact
	return nil
}

// compactOf is data without white space; ok is false if it is no JSON, or too deep.
func compactOf(data Data) (compact Data, ok bool) {
	text, err := jsontext.AppendFormat(nil, bytes.TrimSpace(data), jsontext.PreserveRawStrings(true))
	return text, err == nil && !isDeep(text, maxDataDepth)
}

// isJSON reports whether data is none, or what CheckData takes whatever its size is.
func isJSON(data Data) bool {
	_, ok := compactOf(data)
	return data == nil || ok
}
