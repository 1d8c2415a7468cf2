package revoke

// Registration is what a revocation ends: a connection, or what a topic token opened. All of
// it is guarded by the mutex of the list.
type Registration struct {
	list   *List
	end    End   // nil: it was called, or the registration is closed
	issued int64 // Unix time of the token
	user   link
	others *[2]link // of the session and of the token; nil: the token names neither
}

// link is a registration in the ring of all that have one place. All of one kind of
// place are in a map by their names.
type link struct {
	of         *Registration // nil: in no ring
	name       string
	next, prev *link
}

// Register adds a connection, or what a topic token opens. It returns ErrRevoked if the token
// is revoked now, ErrTooSoon, or ErrClosed.
// From then on the first revocation that concerns it calls end, once, on any
// goroutine, perhaps before Register has returned. Call it when a connection is as far that
// end can close it, and before it may do anything.
func (l *List) Register(id Identity, end End) (*Registration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.checkLocked(&id); err != nil {
		return nil, err
	}
	r := &Registration{list: l, end: end}
	l.count++
	l.link(r, id)
	return r, nil
}

// Refresh replaces the token of a connection, or returns what Register does and leaves it
// as it is. A registration that was ended or closed returns ErrRevoked too.
func (r *Registration) Refresh(id Identity) error {
	r.list.mu.Lock()
	defer r.list.mu.Unlock()
	if err := r.list.checkLocked(&id); err != nil {
		return err
	}
	if r.end == nil {
		return ErrRevoked
	}
	r.list.unlink(r)
	r.list.link(r, id)
	return nil
}

// Close takes the connection out. end is not called any more, but may be under way.
func (r *Registration) Close() {
	r.list.mu.Lock()
	defer r.list.mu.Unlock()
	r.list.remove(r)
}

// remove takes r out, once. Under mu.
func (l *List) remove(r *Registration) {
	if r.end != nil {
		r.end = nil
		l.count--
		l.unlink(r)
	}
}

// link adds r to the rings of its places. Under mu.
func (l *List) link(r *Registration, id Identity) {
	r.issued = id.Issued.Unix()
	l.enter(r, User, &r.user, id.User)
	if id.Session != "" || id.Token != "" {
		r.others = new([2]link)
		l.enter(r, Session, &r.others[0], id.Session)
		l.enter(r, Token, &r.others[1], id.Token)
	}
}

// unlink is the inverse. Under mu.
func (l *List) unlink(r *Registration) {
	l.quit(User, &r.user)
	if r.others != nil {
		l.quit(Session, &r.others[0])
		l.quit(Token, &r.others[1])
		r.others = nil
	}
}

// enter adds n, which is of r, to a ring, unless the name is empty. Under mu.
func (l *List) enter(r *Registration, kind Kind, n *link, name string) {
	if name == "" {
		return
	}
	n.of, n.name = r, name
	if first := l.first[kind][name]; first != nil {
		n.prev, n.next = first.prev, first
		first.prev.next, first.prev = n, n
		return
	}
	n.next, n.prev = n, n
	l.first[kind][name] = n
}

// quit is the inverse. Under mu.
func (l *List) quit(kind Kind, n *link) {
	if n.of == nil {
		return
	}
	first := l.first[kind]
	if n.next == n {
		delete(first, n.name)
	} else {
		n.prev.next, n.next.prev = n.next, n.prev
		if first[n.name] == n {
			first[n.name] = n.next
		}
	}
	*n = link{}
}

// concerned takes out the registrations that e ends, for begin; nil: there are none. Under mu.
func (l *List) concerned(e *entry) *ending {
	if e == nil {
		return nil
	}
	first := l.first[e.kind][e.name]
	if first == nil {
		return nil
	}
	var found []*Registration
	for n := first; ; n = n.next {
		if e.concerns(n.of.issued) {
			found = append(found, n.of)
		}
		if n.next == first {
			break
		}
	}
	if len(found) == 0 {
		return nil
	}
	ending := &ending{of: e.place, by: e.revocation(), over: make(chan struct{})}
	for _, r := range found {
		ending.all = append(ending.all, r.end)
		l.remove(r)
	}
	l.endings[e.place] = append(l.endings[e.place], ending)
	return ending
}
