package protocol

// NewOf returns one frame of each type.
func NewOf(side string) (all []any) {
	if side == "client" {
		for _, new := range newCommand {
			all = append(all, new())
		}
		return all
	}
	for _, new := range newFrame {
		all = append(all, new())
	}
	return all
}

// KindOf returns the type of a frame in both encodings.
func KindOf(frame any) (string, byte) {
	if c, is := frame.(Command); is {
		return c.command().name, c.command().number
	}
	k := frame.(Frame).frame()
	return k.name, k.number
}

// AppendSlowly is AppendMessage by reflection.
func (e Encoding) AppendSlowly(message []byte, m *Message) ([]byte, error) {
	return e.append(message, m.frame(), m)
}
