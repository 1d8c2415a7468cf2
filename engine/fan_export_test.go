package engine

import (
	"reflect"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
)

// CutFlushes makes every flush of s, which has not started, go on in the next iteration
// when it has reached about twice as many subscribers as stride, again and again.
func CutFlushes(s *Server, stride int) { s.pace = fanout.Pace{Slice: 1, Stride: stride} }

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
