package rules

import "fmt"

// Command is what a user asks for.
type Command uint8

const (
	_ Command = iota
	// DoSubscribe subscribes, live or passively. What it carries from before takes DoHistory.
	DoSubscribe
	// DoUnsubscribe ends a subscription.
	DoUnsubscribe
	// DoPublish sends a message.
	DoPublish
	// DoSet sets a keyed value: that the user is typing, a cursor.
	DoSet
	// DoRead sets the user's read position, forward or back.
	DoRead
	// DoPresence asks who is in a topic.
	DoPresence
	// DoHistory reads a page of history, or looks messages up by their ids.
	DoHistory
	// DoReact adds or removes a reaction.
	DoReact
	// DoEdit changes a message. Request.Author is who wrote it.
	DoEdit
	// DoDelete deletes a message. Request.Author is who wrote it.
	DoDelete
	afterLastCommand
)

// demand is what a command takes.
type demand struct {
	name   string
	rights Rights
	// others is what it takes in place of rights for the message of another user.
	others Rights
	// subscribed: only who is subscribed may do it.
	subscribed bool
	// authored: it is about a message that has an author.
	authored bool
	// stored: topics without history refuse it.
	stored bool
	// always: nobody is refused, since it only takes back what the user did.
	always bool
}

// demands has every command. One that is missing is refused.
var demands = [afterLastCommand]demand{
	DoSubscribe:   {name: "subscribe", rights: RightsOf(Subscribe)},
	DoUnsubscribe: {name: "unsubscribe", always: true},
	DoPublish:     {name: "publish", rights: RightsOf(Publish)},
	DoSet:         {name: "set", rights: RightsOf(Signal), subscribed: true},
	DoRead:        {name: "read", rights: RightsOf(Signal), subscribed: true, stored: true},
	DoPresence:    {name: "presence", rights: RightsOf(Presence)},
	DoHistory:     {name: "history", rights: RightsOf(History), stored: true},
	DoReact:       {name: "react", rights: RightsOf(React), stored: true},
	DoEdit:        {name: "edit", rights: RightsOf(Edit), others: RightsOf(Moderate), authored: true, stored: true},
	DoDelete:      {name: "delete", rights: RightsOf(Delete), others: RightsOf(Moderate), authored: true, stored: true},
}

// String is the name of the command.
func (c Command) String() string {
	if c == 0 || c >= afterLastCommand {
		return fmt.Sprintf("Command(%d)", uint8(c))
	}
	return demands[c].name
}
