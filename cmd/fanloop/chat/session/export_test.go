package session

// Review ends the subscriptions to which, or to a part of which, there is no right any more, as
// a refresh does.
func (s *Session) Review() { s.review() }
