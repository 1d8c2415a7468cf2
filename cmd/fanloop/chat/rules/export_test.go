package rules

// Commands are all that a user may ask for.
func Commands() (all []Command) {
	for c := DoSubscribe; c < afterLastCommand; c++ {
		all = append(all, c)
	}
	return all
}
