package loop

import (
	"slices"
	"testing"
)

// All loops together take one place for each descriptor, however many there are, and each
// lists its own.
func TestLoopsShareTheirPlaces(t *testing.T) {
	const loops, descriptors = 32, 100_000
	var shared pages
	tables := make([]connTable, loops)
	conns := make([]Conn, descriptors)
	want := make([][]int, loops)
	for fd := range conns {
		owner := fd * 7 % loops
		tables[owner].shared = &shared
		tables[owner].put(fd, &conns[fd])
		if fd%3 == 0 {
			tables[owner].take(fd)
			continue
		}
		want[owner] = append(want[owner], fd)
	}
	for i := range tables {
		var got []int
		for fd := tables[i].next(0); fd < tables[i].end(); fd = tables[i].next(fd + 1) {
			got = append(got, fd)
			if tables[i].of(fd) != &conns[fd] {
				t.Fatalf("descriptor %d has another connection", fd)
			}
		}
		if !slices.Equal(got, want[i]) {
			t.Fatalf("loop %d lists %d descriptors, want %d, or others", i, len(got), len(want[i]))
		}
		if c := tables[i].of(descriptors + pageSize); c != nil {
			t.Error("a descriptor beyond all has a connection")
		}
	}
	if n, most := len(shared.all), descriptors/pageSize+1; n > most {
		t.Errorf("%d pages, want %d", n, most)
	}
}
