package engine

// sendsLocked says whether the user may send: the connection is open and to stay
// so, or Close was called and OnGap is.
func (ws *WebSocket) sendsLocked() bool {
	x := ws.extras
	return ws.out.IsOpen() || ws.out.MayWrite() && x != nil && x.inOnGap
}

// setInOnGap notes that OnGap is being called, or is not any more.
func (ws *WebSocket) setInOnGap(in bool) {
	ws.conn.Lock()
	defer ws.conn.Unlock()
	ws.extrasLocked().inOnGap = in
}

// askClose is that of the connection. What was published before is written now,
// or, where OnGap has to be called first, left to finishTopics.
func (m *member) askClose(why CloseCause, frame closeFrame) (first bool) {
	f, ws := m.fan, m.ws
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noticeGaps(m)
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if w := m.slow.Load(); w != nil && w.frozen == 0 {
		w.releaseLocked(true)
	}
	first = ws.askCloseLocked(why, frame)
	if first {
		f.retire(m)
	}
	return first
}

// noticeGaps brings m up to date, and makes it slow if OnGap is to be called for
// publishes that were refused. Under the fan's lock.
func (f *fan) noticeGaps(m *member) {
	f.catchUp(m)
	for _, s := range m.subs {
		if s.missed() > 0 {
			f.markSlow(m)
			return
		}
	}
}

// finishTopics calls OnGap for what is missing, and writes what else was
// published to the connection, which gets nothing after that. On the loop, in an
// event of the connection.
func (ws *WebSocket) finishTopics() {
	m := ws.member.Load()
	if m == nil {
		return
	}
	f := m.fan
	f.mu.Lock()
	f.noticeGaps(m)
	f.retire(m)
	f.mu.Unlock()
	m.callOnGap() // which may finish a fragmented message
	if m.giveUp() {
		m.callOnGap()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	ws.conn.Lock()
	defer ws.conn.Unlock()
	if w := m.slow.Load(); w != nil {
		w.releaseLocked(true)
		w.discard()
	}
}

// giveUp counts what waits as lost if a fragmented message is under way, between
// whose frames nothing else may stand (§5.4): the close frame is next. It says
// whether OnGap is to be called for that. On the loop.
func (m *member) giveUp() bool {
	f := m.fan
	f.mu.Lock()
	defer f.mu.Unlock()
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	w := m.slow.Load()
	if w == nil || m.ws.out.Fragments == 0 {
		return false
	}
	f.hub.dropped.Add(w.lose())
	return len(w.gapped) > 0
}
