package loop

// connTable finds the connections of a loop by their descriptors. Owned by the loop.
type connTable struct{ conns []*Conn }

// of returns the connection of fd; nil if it is none.
func (t *connTable) of(fd int) *Conn {
	if fd < len(t.conns) {
		return t.conns[fd]
	}
	return nil
}

// put makes c the owner of fd. The table grows by an eighth: descriptors are dense, and
// a place that is not used costs as much as one that is.
func (t *connTable) put(fd int, c *Conn) {
	if fd >= len(t.conns) {
		grown := append([]*Conn(nil), make([]*Conn, max(64, fd+1+fd/8))...)
		copy(grown, t.conns)
		t.conns = grown[:cap(grown)] // what the allocator rounds up to
	}
	t.conns[fd] = c
}

func (t *connTable) take(fd int) { t.conns[fd] = nil }

// enlist makes c the owner of the events of fd.
func (l *Loop) enlist(fd int, c *Conn) {
	l.table.put(fd, c)
	l.conns.Add(1)
}

func (l *Loop) delist(fd int) {
	l.table.take(fd)
	l.conns.Add(-1)
}
