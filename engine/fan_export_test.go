package engine

import "reflect"

// CutFlushes makes every flush of s, which has not started, go on in the next iteration
// when it has reached about twice as many subscribers as stride, again and again.
func CutFlushes(s *Server, stride int) { s.pace.Slice, s.pace.Stride = 1, stride }

// FlushLeft returns how many subscribers the flush that is under way on the loop of ws has
// still to come to. On that loop.
func FlushLeft(ws *WebSocket) (n int) {
	f := reflect.ValueOf(ws.settings().hub).Elem().FieldByName("fans").Index(LoopOf(ws)).Elem()
	if !f.FieldByName("flushing").Bool() {
		return 0
	}
	parts := f.FieldByName("parts")
	for i := int(f.FieldByName("part").Int()); i < parts.Len(); i++ {
		n += parts.Index(i).Elem().FieldByName("subs").Len()
	}
	return n - int(f.FieldByName("next").Int())
}

// GroupsLeft counts the groups of s that batches are kept for, those with a debt, and those
// that are held.
func GroupsLeft(s *Server) (groups, debts, held int) {
	fans := reflect.ValueOf(s.settings.hub).Elem().FieldByName("fans")
	for i := range fans.Len() {
		f := fans.Index(i).Elem()
		groups += f.FieldByName("groups").Len()
		if b := f.FieldByName("budget"); !b.IsNil() {
			debts += b.Elem().FieldByName("debts").Len()
			held += b.Elem().FieldByName("held").Len()
		}
	}
	return groups, debts, held
}
