package loop

import (
	"reflect"
	"slices"
	"testing"
)

// What other goroutines write lies at least two cache lines away from everything else of a
// Loop, so that the loop keeps the lines that it uses all the time.
func TestWritesOfOthersTouchNoCacheLineOfTheLoop(t *testing.T) {
	others := []string{"mailbox", "ledger", "messagesOut", "bytesOut", "alive"}
	const least = 128
	loop := reflect.TypeFor[Loop]()
	for _, name := range others {
		a, ok := loop.FieldByName(name)
		if !ok {
			t.Fatalf("a Loop has no field %s any more", name)
		}
		for i := range loop.NumField() {
			b := loop.Field(i)
			if b.Name == "_" || slices.Contains(others, b.Name) {
				continue
			}
			if gap := max(int(b.Offset)-int(a.Offset+a.Type.Size()), int(a.Offset)-int(b.Offset+b.Type.Size())); gap < least {
				t.Errorf("%s, which others write, is %d bytes away from %s", a.Name, gap, b.Name)
			}
		}
	}
	if last := loop.Field(loop.NumField() - 1); last.Type != reflect.TypeFor[apart]() {
		t.Errorf("the last field is %s: the next object may share its cache line", last.Name)
	}
}
