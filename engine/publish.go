package engine

// Delivery says what became of one publish. The counts are those of the moment
// of the publish, when every subscriber falls under exactly one of them.
type Delivery struct {
	// Queued: the message is written or queued, and no other was dropped for it.
	Queued int
	// Dropped: the subscriber loses a message by this publish: this one, or, with
	// SlowDropOldest, the oldest ones that wait, whose place this one takes. OnGap
	// reports the loss to it.
	Dropped int
	// Conflated: the message replaces an older one of the same key, which this
	// subscriber will not get.
	Conflated int
	// Closed: the subscriber is slow, and its connection is closed for it.
	Closed int
}

// Subscribers is the number of subscribers the message was meant for.
func (d Delivery) Subscribers() int { return d.Queued + d.Dropped + d.Conflated + d.Closed }

// Publish sends m to every subscriber of topic. It never blocks, and encodes the
// message once, however many they are; m.Data is free when it returns. A topic
// without subscribers costs a look-up. Any goroutine.
//
// What one goroutine publishes reaches every subscriber in that order, whatever
// the topics, and keeps its order with what it sends to a connection. Only where
// messages wait until OnGap has returned, a direct send goes before them.
//
// ErrBackpressure is partial: at least one loop has more than Slow.Limit bytes of
// this topic undelivered. Its subscribers miss this message and those that follow,
// until it has flushed the topic, and are counted as Dropped. Subscribers of other
// loops get it: do not publish it again. ErrNotData if m is neither text nor binary.
// ErrRetained if m is to be retained and there is no room for it: nobody gets it.
func (s *Server) Publish(topic string, m Message) (Delivery, error) {
	if err := m.check(); err != nil {
		return Delivery{}, err
	}
	if m.Retain {
		if err := s.started(); err != nil {
			return Delivery{}, err
		}
	}
	if !s.up.Load() {
		return Delivery{}, nil // there are no subscribers yet
	}
	return s.settings.hub.publish(topic, m, nil)
}

// Publish is Server.Publish to all but this connection, which need not be
// subscribed itself. A connection made by Dial returns ErrNoTopics.
func (ws *WebSocket) Publish(topic string, m Message) (Delivery, error) {
	if ws.settings().hub == nil {
		return Delivery{}, ErrNoTopics
	}
	return ws.settings().hub.publish(topic, m, ws)
}

// publish publishes m to all subscribers of the topic but from, which may be nil.
func (h *hub) publish(topic string, m Message, from *WebSocket) (d Delivery, err error) {
	if err := m.check(); err != nil {
		return d, err
	}
	if m.Retain {
		return h.publishRetained(topic, m, from)
	}
	if t := h.find(topic); t != nil {
		return h.publishTo(t, m, from)
	}
	return d, nil
}

// publishTo is publish to t, of a message that it does not keep.
func (h *hub) publishTo(t *topic, m Message, from *WebSocket) (Delivery, error) {
	parts := *t.parts.Load()
	if len(parts) == 0 {
		return Delivery{}, nil
	}
	msg := m.encode()
	msg.frames.PackAhead(h.compressor)
	return deliverTo(parts, msg, from)
}

// deliverTo publishes msg to all parts.
func deliverTo(parts []*part, msg message, from *WebSocket) (d Delivery, err error) {
	for _, p := range parts {
		if perr := p.fan.publish(p, msg, from, &d); perr != nil {
			err = perr
		}
	}
	return d, err
}

// find returns the topic called name; nil if there is none.
func (h *hub) find(name string) *topic {
	sh := h.shard(name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.topics[name]
}

// publish appends msg to p, posts a flush, and counts in d what becomes of msg.
func (f *fan) publish(p *part, msg message, from *WebSocket, d *Delivery) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.count == 0 {
		return nil
	}
	queued := p.count
	sender := f.subscriptionOf(from, p)
	if sender != nil && !sender.member.gone {
		queued--
	}
	if f.refuses(p, &msg) {
		d.Dropped += queued
		f.hub.dropped.Add(uint64(queued))
		p.refuse(sender)
		return ErrBackpressure
	}
	if sender != nil { // what is published before this one is for the sender too
		f.catchUp(sender.member)
	}
	f.number++
	msg.number = f.number
	if sender != nil {
		sender.member.skip(msg.number)
	}
	for _, s := range p.slow {
		if s != sender && !s.member.gone {
			queued--
			f.decide(s, msg, d)
		}
	}
	d.Queued += queued
	f.append(p, msg)
	return nil
}

// subscriptionOf returns that of ws to p, nil if there is none.
func (f *fan) subscriptionOf(ws *WebSocket, p *part) *subscription {
	if ws == nil {
		return nil
	}
	m := ws.member.Load()
	if m == nil || m.fan != f {
		return nil
	}
	return m.find(p.topic.name)
}

// skip notes that m needs no message up to number.
func (m *member) skip(number uint64) {
	m.ws.conn.Lock()
	defer m.ws.conn.Unlock()
	m.seq = number
}
