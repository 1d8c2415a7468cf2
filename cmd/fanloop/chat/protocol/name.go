package protocol

// NameOf is the type of a command or a frame as JSON has it; empty: v is neither.
func NameOf(v any) string {
	switch v := v.(type) {
	case Command:
		return v.command().name
	case Frame:
		return v.frame().name
	}
	return ""
}

// EveryCommand has a new one of each type.
func EveryCommand() (all []Command) {
	for _, make := range newCommand {
		all = append(all, make())
	}
	return all
}
