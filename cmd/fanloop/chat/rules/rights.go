package rules

import (
	"fmt"
	"strings"
)

// Right is one thing that a user may do in a topic.
type Right uint16

const (
	// Subscribe: get new messages.
	Subscribe Right = 1 << iota
	// Publish: send messages.
	Publish
	// Signal: set keyed values, such as typing, and the own read position.
	Signal
	// Presence: see who is there, as far as the level of the namespace shows it.
	Presence
	// History: read what was sent before, and what was missed while away.
	History
	// React: add and remove reactions.
	React
	// Edit: change own messages.
	Edit
	// Delete: delete own messages.
	Delete
	// Moderate: change and delete messages of others.
	Moderate
)

// rightNames are in the order of the bits.
var rightNames = []string{"subscribe", "publish", "signal", "presence", "history", "react", "edit", "delete", "moderate"}

// AllRights are all there are.
const AllRights Rights = 1<<9 - 1

// Rights is a set of them.
type Rights uint16

// RightsOf makes a set.
func RightsOf(all ...Right) (set Rights) {
	for _, r := range all {
		set |= Rights(r)
	}
	return set
}

// Has reports whether all of wanted are in the set.
func (r Rights) Has(wanted Rights) bool { return r&wanted == wanted }

// String lists the names, with commas.
func (r Rights) String() string {
	var names []string
	for i, name := range rightNames {
		if r&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
}

// String is the name of the right.
func (r Right) String() string { return Rights(r).String() }

// RightNames are the names that ParseRight takes.
func RightNames() []string { return append([]string(nil), rightNames...) }

// ParseRight returns the right of a name.
func ParseRight(name string) (Right, error) {
	for i, known := range rightNames {
		if name == known {
			return 1 << i, nil
		}
	}
	return 0, fmt.Errorf("rules: %.32q is no right: want %s", name, strings.Join(rightNames, ", "))
}
