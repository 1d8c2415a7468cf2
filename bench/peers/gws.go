package main

import "github.com/lxzan/gws"

func init() {
	registerGo("gws", "github.com/lxzan/gws", serveGws, doesTLS, doesDeflate, doesTakeover)
}

// gwsHandler is the event handler of gws's quick start, with a Broadcaster for
// what goes to everybody. The Broadcaster builds the frame once and writes it
// from a queue that each connection has.
type gwsHandler struct {
	gws.BuiltinEventHandler
	all *hub[*gws.Conn]
}

// serveGws runs gws's own server with no options but compression, if asked for: no
// parallel handling of one connection's messages, no UTF-8 check.
func serveGws(at endpoint) error {
	ln, err := at.listen()
	if err != nil {
		return err
	}
	server := gws.NewServer(&gwsHandler{all: newHub[*gws.Conn]()}, &gws.ServerOption{
		Logger: silent{},
		PermessageDeflate: gws.PermessageDeflate{
			Enabled: at.deflate, ServerContextTakeover: at.takeover, ClientContextTakeover: at.takeover,
			ServerMaxWindowBits: 15, ClientMaxWindowBits: 15, // as everybody's; 12 otherwise
		},
	})
	return server.RunListener(ln)
}

func (h *gwsHandler) OnOpen(c *gws.Conn)           { h.all.join(c) }
func (h *gwsHandler) OnClose(c *gws.Conn, _ error) { h.all.leave(c) }

// OnPing answers with the payload (RFC 6455 §5.5.3), which the built-in handler
// does not.
func (h *gwsHandler) OnPing(c *gws.Conn, payload []byte) { _ = c.WritePong(payload) }

func (h *gwsHandler) OnMessage(c *gws.Conn, message *gws.Message) {
	defer message.Close()
	if !isPublish(message.Bytes()) {
		_ = c.WriteMessage(message.Opcode, message.Bytes()) // an error closes c
		return
	}
	b := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer b.Close()
	h.all.each(func(to *gws.Conn) { _ = b.Broadcast(to) }) // an error closes to
}

// silent keeps gws from logging every connection that ends early.
type silent struct{}

func (silent) Error(...any) {}
