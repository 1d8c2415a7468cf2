package fanout

// AskClose notes by askLocked, which is called under the connection's lock and says
// whether it is the first to do so, that the connection is to close. What was published
// before is written now, or, where OnGap has to be called first, left to Finish. Any
// goroutine that holds no lock.
func (m *Member) AskClose(askLocked func() (first bool)) (first bool) {
	f := m.fan()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noticeGaps(m)
	m.conn.Lock()
	defer m.conn.Unlock()
	if w := m.waiting(); w != nil && w.reporting == 0 {
		w.writeWaitingLocked(true)
	}
	first = askLocked()
	if first {
		f.closeMember(m)
	}
	return first
}

// noticeGaps brings m up to date, and makes it slow if OnGap is to be called for
// publishes that were refused. Under the fan's lock.
func (f *fan) noticeGaps(m *Member) {
	f.catchUp(m)
	for s := range m.subs {
		if s.missed() > 0 {
			f.markSlow(m)
			return
		}
	}
}

// Finish calls OnGap for what is missing, and writes what else was
// published to the connection, which gets nothing after that. On the loop, in an
// event of the connection.
func (m *Member) Finish() {
	f := m.fan()
	f.mu.Lock()
	f.noticeGaps(m)
	f.closeMember(m)
	f.mu.Unlock()
	m.callOnGap() // which may finish a fragmented message
	if m.loseBehindFragment() {
		m.callOnGap()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m.conn.Lock()
	defer m.conn.Unlock()
	if w := m.waiting(); w != nil {
		w.writeWaitingLocked(true)
		w.discard()
	}
}

// loseBehindFragment counts what waits as lost if a fragmented message is under way, between
// whose frames nothing else may stand (§5.4): the close frame is next. It says
// whether OnGap is to be called for that. On the loop.
func (m *Member) loseBehindFragment() bool {
	f := m.fan()
	f.mu.Lock()
	defer f.mu.Unlock()
	m.conn.Lock()
	defer m.conn.Unlock()
	w := m.waiting()
	if w == nil || m.out.Fragments == 0 {
		return false
	}
	f.hub.dropped.Add(w.lose())
	return len(w.gapped) > 0
}

// Close ends what a connection that is closing has of its topics: it gets
// nothing more, is not counted, and may not subscribe. What waits for it is
// discarded. Any goroutine that holds no lock.
func (m *Member) Close() {
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	m.fan().closeMember(m)
	m.discard()
}

// lastTopic returns the topic of the subscription that m made last. Under the fan's lock.
func (m *Member) lastTopic() (name string, there bool) {
	last, subs := &m.only, m.several()
	switch {
	case m.count() == 0:
		return "", false
	case subs != nil:
		last = subs[len(subs)-1]
	}
	return last.part.topic.name, true
}

// LeaveAll ends every subscription of a connection that is closed. Any goroutine
// that holds no lock.
func (m *Member) LeaveAll() {
	m.fan().mu.Lock()
	m.fan().closeMember(m)
	m.discard()
	name, more := m.lastTopic()
	m.fan().mu.Unlock()
	for more {
		name, more = m.leave(name)
	}
}

// leave ends the subscription to the topic called name, if there is one, and returns the topic
// of another.
func (m *Member) leave(name string) (next string, more bool) {
	sh := m.fan().hub.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m.fan().mu.Lock()
	defer m.fan().mu.Unlock()
	if s := m.find(name); s != nil {
		m.fan().leave(s)
		sh.prune(s.part)
	}
	return m.lastTopic()
}
