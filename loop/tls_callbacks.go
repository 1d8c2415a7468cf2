package loop

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
)

// IsolateTLS returns config, or a copy of it, for connections of loops: whatever
// crypto/tls calls of it may panic or call [runtime.Goexit], and only the
// connection ends. That holds for most of it anyway, since handshakes run on
// goroutines of their own. But a KeyLogWriter is called with a lock of the whole
// process held, and a ClientSessionCache also on a loop: these are called by
// Isolate. StartTLSClient does this itself. For servers, do it once: copies have
// other session tickets.
func IsolateTLS(config *tls.Config) *tls.Config {
	log, cache := config.KeyLogWriter, config.ClientSessionCache
	if _, ok := log.(isolatedWriter); ok {
		log = nil
	}
	if _, ok := cache.(isolatedCache); ok {
		cache = nil
	}
	if log == nil && cache == nil {
		return config
	}
	config = config.Clone()
	if log != nil {
		config.KeyLogWriter = isolatedWriter{log}
	}
	if cache != nil {
		config.ClientSessionCache = isolatedCache{cache}
	}
	return config
}

type isolatedWriter struct{ io.Writer }

func (w isolatedWriter) Write(b []byte) (n int, err error) {
	if p := Isolate(func() { n, err = w.Writer.Write(b) }); p != nil {
		return 0, p
	}
	return n, err
}

type isolatedCache struct{ tls.ClientSessionCache }

// Get implements tls.ClientSessionCache. Like Put it can only pass a panic on.
func (c isolatedCache) Get(key string) (state *tls.ClientSessionState, ok bool) {
	if p := Isolate(func() { state, ok = c.ClientSessionCache.Get(key) }); p != nil {
		panic(p)
	}
	return state, ok
}

// Put implements tls.ClientSessionCache.
func (c isolatedCache) Put(key string, state *tls.ClientSessionState) {
	if p := Isolate(func() { c.ClientSessionCache.Put(key, state) }); p != nil {
		panic(p)
	}
}

// clientConfig is config for a client's connection on a loop.
func clientConfig(config *tls.Config) *tls.Config {
	config = IsolateTLS(config)
	if config.Renegotiation != tls.RenegotiateNever {
		config = config.Clone()
		config.Renegotiation = tls.RenegotiateNever
	}
	return config
}

// guarded runs fn, which calls crypto/tls. If a callback of the tls.Config does
// not return, err becomes that, also where guarded itself does not return.
func (t *tlsLayer) guarded(err *error, fn func() error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		p, ok := v.(*PanicError)
		if !ok {
			p = NewPanicError(v)
		}
		*err = p
	}()
	*err = fn()
	returned = true
}

// tellPanic logs the callback of a tls.Config that did not return, if that is what
// err is about.
func (t *tlsLayer) tellPanic(err error) {
	p, ok := errors.AsType[*PanicError](err)
	if !ok {
		return
	}
	g := t.c.loop.group
	g.panics.Log(g.cfg.Logger, slog.LevelError, "loop: a callback of a tls.Config did not return; its connection ends",
		slog.Any("err", p), slog.Any("panic", p.Value), slog.String("stack", string(p.Stack)))
}
