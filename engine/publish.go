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

// Publish sends one message to every subscriber of topic. It never blocks, and
// encodes the message once, however many they are; p is free when it returns. A
// topic without subscribers costs a look-up. Any goroutine.
//
// What one goroutine publishes reaches every subscriber in that order, whatever
// the topics, and keeps its order with what it sends to a connection. Only where
// messages wait until OnGap has returned, a direct send goes before them.
//
// The error is ErrBackpressure if a loop is behind by more than Slow.Limit in
// this topic, and from then on until it has flushed the topic: the subscribers it
// owns do not get the message, and are counted as Dropped. ErrNotData if op is
// neither Text nor Binary.
func (s *Server) Publish(topic string, op OpCode, p []byte) (Delivery, error) {
	return s.publish(publish{topic: topic, op: op, payload: p})
}

// PublishKeyed is Publish of a message that replaces earlier ones of the same
// key: for a slow subscriber whose policy is SlowConflate, only the latest
// message of each key is kept. For presence, prices, cursors.
func (s *Server) PublishKeyed(topic, key string, op OpCode, p []byte) (Delivery, error) {
	return s.publish(publish{topic: topic, op: op, payload: p, key: key, keyed: true})
}

// Publish is Server.Publish to all but this connection, which need not be
// subscribed itself.
func (ws *WebSocket) Publish(topic string, op OpCode, p []byte) (Delivery, error) {
	return ws.publish(publish{topic: topic, op: op, payload: p})
}

// PublishKeyed is Server.PublishKeyed to all but this connection, which need not
// be subscribed itself.
func (ws *WebSocket) PublishKeyed(topic, key string, op OpCode, p []byte) (Delivery, error) {
	return ws.publish(publish{topic: topic, op: op, payload: p, key: key, keyed: true})
}

// publish is one message on its way to a topic.
type publish struct {
	topic   string
	op      OpCode
	payload []byte
	key     string
	keyed   bool
	from    *WebSocket // gets nothing; nil: everyone does
}

func (s *Server) publish(pub publish) (Delivery, error) {
	if !pub.op.IsData() {
		return Delivery{}, ErrNotData
	}
	if !s.up.Load() {
		return Delivery{}, nil // there are no subscribers yet
	}
	return s.endpoint.hub.publish(pub)
}

func (ws *WebSocket) publish(pub publish) (Delivery, error) {
	if ws.endpoint.hub == nil {
		return Delivery{}, ErrNoTopics
	}
	pub.from = ws
	return ws.endpoint.hub.publish(pub)
}

func (h *hub) publish(pub publish) (d Delivery, err error) {
	if !pub.op.IsData() {
		return d, ErrNotData
	}
	sh := h.shard(pub.topic)
	sh.mu.RLock()
	var parts []*part
	if t := sh.topics[pub.topic]; t != nil {
		parts = t.parts
	}
	sh.mu.RUnlock()
	if len(parts) == 0 {
		return d, nil
	}
	msg := message{frames: newFrames(pub.op, pub.payload, len(pub.key)), key: pub.key, keyed: pub.keyed}
	msg.frames.packAhead(h.compressor)
	for _, p := range parts {
		if perr := p.fan.publish(p, msg, pub.from, &d); perr != nil {
			err = perr
		}
	}
	return d, err
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
