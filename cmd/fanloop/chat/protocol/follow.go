package protocol

import "math"

// Verdict is what a subscriber does with a message that comes.
type Verdict byte

// What a subscriber does with a message.
const (
	Take  Verdict = iota // it is the next one: the position has moved behind it
	Known                // drop it: it is not behind the position
	Hole                 // drop it, and subscribe again with the position
)

// Follow moves a subscriber's position behind a message if that is the next one. Pass
// the message on after that. A message without an offset is of a topic without
// history: it is always taken.
func (p *Position) Follow(m *Message) Verdict {
	switch {
	case m.Offset == 0:
		return Take
	case m.Offset <= p.Offset:
		return Known
	case m.Prev > p.Offset:
		return Hole
	}
	p.Offset, p.ID = m.Offset, m.ID
	return Take
}

// Read returns the marker after a Read of a position, in a topic of this epoch. What
// is late, from another epoch, or from before a step back changes nothing. The zero Marker
// is none: then nothing is late, since what the version is of was forgotten.
func (m Marker) Read(pos Position, version uint32, epoch string) Marker {
	if m == (Marker{}) && pos.Epoch == epoch {
		return Marker{pos, version}
	}
	if version != m.Version {
		return m
	}
	return m.Later(Marker{pos, version}, epoch)
}

// Unread returns the marker after an Unread, which sets it to the position on purpose.
func (m Marker) Unread(pos Position, version uint32, epoch string) Marker {
	late := version != m.Version && m != (Marker{})
	if late || pos.Epoch != epoch || version == math.MaxUint32 {
		return m
	}
	return Marker{pos, version + 1}
}

// Later returns the later of two markers of one user, whichever came first: the one
// with the larger version, and of the same version the one that is further on. One of
// another epoch than the topic's is before everything of the same version.
func (m Marker) Later(other Marker, epoch string) Marker {
	switch {
	case m.Version != other.Version:
		if other.Version > m.Version {
			return other
		}
	case other.Pos.Epoch == epoch && (m.Pos.Epoch != epoch || other.Pos.Offset > m.Pos.Offset):
		return other
	}
	return m
}
