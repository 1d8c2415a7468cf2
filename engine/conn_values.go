package engine

import "reflect"

// several are the values of a connection that has more than one, of different types.
type several []any

// Get returns the value of type T that [Set] attached to ws; the zero T if there is
// none. If T is an interface, it returns the first value that implements T. Any
// goroutine; guard what the value points to.
func Get[T any](ws *WebSocket) (v T) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if ws.extras == nil {
		return v
	}
	many, ok := ws.extras.value.(several)
	if !ok {
		v, _ = ws.extras.value.(T)
		return v
	}
	for _, one := range many {
		if v, ok = one.(T); ok {
			return v
		}
	}
	return v
}

// Set attaches v to ws, in place of an earlier value of the same type. A type of
// your own keeps your value apart from those of other packages. Any goroutine.
func Set[T any](ws *WebSocket, v T) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	x := ws.extrasLocked()
	x.value = withValue(x.value, v)
}

// withValue returns what a connection has after known, once v is set.
func withValue(known, v any) any {
	many, ok := known.(several)
	switch {
	case v == nil:
		return known
	case known == nil || reflect.TypeOf(known) == reflect.TypeOf(v):
		return v
	case !ok:
		return several{known, v}
	}
	for i, one := range many {
		if reflect.TypeOf(one) == reflect.TypeOf(v) {
			many[i] = v
			return many
		}
	}
	return append(many, v)
}
