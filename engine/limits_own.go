package engine

// SetLimits overrides limits of this connection: for instance 1 KiB before a login and 1 MiB
// after it. Fields that are 0 mean the limits of the endpoint or of DialOptions:
// SetLimits(Limits{}) undoes earlier calls and [Request].Limits. Of the inherited limits,
// HighWater, LowWater and PongTimeout return to their defaults where l gives them no meaning:
// {MaxQueued: 64 << 10} needs no HighWater, and {PingInterval: NoLimit} no PongTimeout.
//
// MaxMessage and MaxFragments apply from the next frame on, MaxQueued, HighWater and LowWater
// from the next send on, and timeouts at once. The default of Slow.Limit follows MaxQueued.
// Leave MaxHead, MaxHeaders, HandshakeTimeout, MaxMemory and MaxConnections 0: they are no
// limits of an open connection.
//
// Connections of one endpoint that ask for the same limits one after the other share them;
// otherwise each takes about 1 KiB. It returns ErrClosed if the connection is not open any more,
// and an *OptionError if l makes no sense. Owning loop only.
func (ws *WebSocket) SetLimits(l Limits) error {
	e, err := ws.settings().with(l)
	switch {
	case err != nil:
		return err
	case !ws.out.IsOpen():
		return ErrClosed
	case e == ws.settings():
		return nil
	}
	ws.goBy(e)
	ws.armAlive(ws.conn.Loop().Now())
	return nil
}

// over returns l with the fields of base where l has 0, but for those that l leaves no
// meaning.
func (l Limits) over(base Limits) Limits {
	own := l
	setDefault(&l.MaxHead, base.MaxHead)
	setDefault(&l.MaxHeaders, base.MaxHeaders)
	setDefault(&l.HandshakeTimeout, base.HandshakeTimeout)
	setDefault(&l.MaxMessage, base.MaxMessage)
	setDefault(&l.MaxFragments, base.MaxFragments)
	setDefault(&l.MaxControlRate, base.MaxControlRate)
	setDefault(&l.MaxQueued, base.MaxQueued)
	setDefault(&l.MaxMemory, base.MaxMemory)
	setDefault(&l.HighWater, base.HighWater)
	setDefault(&l.LowWater, base.LowWater)
	setDefault(&l.WriteTimeout, base.WriteTimeout)
	setDefault(&l.ReadTimeout, base.ReadTimeout)
	setDefault(&l.PingInterval, base.PingInterval)
	setDefault(&l.PongTimeout, base.PongTimeout)
	setDefault(&l.IdleTimeout, base.IdleTimeout)
	setDefault(&l.CloseTimeout, base.CloseTimeout)
	setDefault(&l.MaxConnections, base.MaxConnections)
	l.giveWay(&own)
	return l
}

// giveWay sets fields back to their defaults that own has inherited and leaves no
// meaning: marks that do not fit its queue or its other mark, and the PongTimeout where
// it turns pings off.
func (l *Limits) giveWay(own *Limits) {
	d := l.WithDefaults()
	if own.HighWater == 0 && (d.MaxQueued > 0 && d.HighWater > d.MaxQueued || own.LowWater > d.HighWater) {
		l.HighWater = 0
		d = l.WithDefaults()
	}
	if own.LowWater == 0 && d.LowWater > d.HighWater {
		l.LowWater = 0
	}
	if own.PongTimeout == 0 && own.PingInterval == NoLimit {
		l.PongTimeout = 0
	}
}

// checkOwn finds mistakes in l as the limits of an Endpoint or a connection; all is
// l over those of the server.
func (l Limits) checkOwn(m *mistakes, all Limits) {
	beforehand := func(field string, v any, set bool) {
		if set {
			m.add(field, v, "it counts for the whole server, or before its endpoint is known; leave it 0 here, and set Server.Limits")
		}
	}
	beforehand("Limits.MaxHead", l.MaxHead, l.MaxHead != 0)
	beforehand("Limits.MaxHeaders", l.MaxHeaders, l.MaxHeaders != 0)
	beforehand("Limits.HandshakeTimeout", l.HandshakeTimeout, l.HandshakeTimeout != 0)
	beforehand("Limits.MaxMemory", l.MaxMemory, l.MaxMemory != 0)
	beforehand("Limits.MaxConnections", l.MaxConnections, l.MaxConnections != 0)
	all.check(m)
}
