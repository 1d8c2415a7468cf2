package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
)

func init() { registerGo("gnet", "github.com/panjf2000/gnet/v2", serveGnet) }

// gnetServer answers on gnet's event loops. Frames are parsed, unmasked and
// turned into their answer inside the loop's read buffer (see gnet_frames.go).
// A message to publish must be one frame; in fragments it is echoed.
type gnetServer struct {
	gnet.BuiltinEventEngine
	addr string

	mu    sync.RWMutex
	rooms map[gnet.EventLoop]*gnetRoom
}

// gnetRoom is everybody on one loop, touched there only.
type gnetRoom struct{ members []gnet.Conn }

// gnetConn is the state of a connection, owned by its loop.
type gnetConn struct {
	room     *gnetRoom
	place    int // index in room.members
	upgraded bool
	state    ws.State
	need     int // bytes to wait for: those of the incomplete frame in front
}

// serveGnet gives each loop a listener of its own (SO_REUSEPORT) and an OS
// thread. Its logger writes to stdout and is silenced.
func serveGnet(at endpoint) error {
	addr, err := at.freePort()
	if err != nil {
		return err
	}
	s := &gnetServer{addr: addr, rooms: make(map[gnet.EventLoop]*gnetRoom)}
	return gnet.Run(s, "tcp://"+addr, gnet.WithNumEventLoop(at.loops), gnet.WithReusePort(true),
		gnet.WithLockOSThread(true), gnet.WithLogger(zap.NewNop().Sugar()))
}

func (s *gnetServer) OnBoot(gnet.Engine) gnet.Action {
	ready(s.addr)
	return gnet.None
}

func (s *gnetServer) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	s.mu.Lock()
	defer s.mu.Unlock()
	room := s.rooms[c.EventLoop()]
	if room == nil {
		room = new(gnetRoom)
		s.rooms[c.EventLoop()] = room
	}
	c.SetContext(&gnetConn{room: room, state: ws.StateServerSide})
	return nil, gnet.None
}

func (s *gnetServer) OnClose(c gnet.Conn, _ error) gnet.Action {
	conn := c.Context().(*gnetConn)
	if conn.upgraded {
		conn.room.leave(conn)
	}
	return gnet.None
}

func (s *gnetServer) OnTraffic(c gnet.Conn) gnet.Action {
	conn := c.Context().(*gnetConn)
	if c.InboundBuffered() < conn.need {
		return gnet.None
	}
	in, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	used := 0
	if !conn.upgraded {
		if used, err = conn.upgrade(c, in); err != nil {
			return gnet.Close
		}
	}
	if conn.upgraded {
		n, err := s.answer(c, conn, in[used:])
		if err != nil {
			return gnet.Close
		}
		used += n
	}
	if used > 0 { // Discard(0) would discard everything
		_, _ = c.Discard(used)
	}
	return gnet.None
}

// upgrade answers a complete request head and returns its length, or 0 for an
// incomplete one.
func (conn *gnetConn) upgrade(c gnet.Conn, in []byte) (int, error) {
	end := bytes.Index(in, []byte("\r\n\r\n"))
	switch {
	case end >= 0:
	case len(in) > 8192:
		return 0, errors.New("the request head does not end")
	default:
		return 0, nil
	}
	head := in[:end+4]
	if _, err := ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(head), c}); err != nil {
		return 0, err
	}
	conn.upgraded = true
	conn.room.join(c, conn)
	return len(head), nil
}

func (r *gnetRoom) join(c gnet.Conn, conn *gnetConn) {
	conn.place = len(r.members)
	r.members = append(r.members, c)
}

func (r *gnetRoom) leave(conn *gnetConn) {
	last := len(r.members) - 1
	r.members[conn.place] = r.members[last]
	r.members[conn.place].Context().(*gnetConn).place = conn.place
	r.members[last] = nil
	r.members = r.members[:last]
}

// publish sends frames to everybody: here directly, on other loops by a copy.
func (s *gnetServer) publish(here *gnetRoom, frames []byte) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var shared []byte
	for loop, room := range s.rooms {
		if room == here {
			continue
		}
		if shared == nil {
			shared = bytes.Clone(frames)
		}
		_ = loop.Execute(context.Background(), gnet.RunnableFunc(func(context.Context) error {
			room.send(shared)
			return nil
		}))
	}
	here.send(frames)
}

// send goes backwards: a write that fails closes the connection, and leave then
// moves one that was served into its place.
func (r *gnetRoom) send(frames []byte) {
	for i := len(r.members) - 1; i >= 0; i-- {
		_ = gnetWrite(r.members[i], frames)
	}
}

// gnetWrite drops a connection that left too much unread.
func gnetWrite(c gnet.Conn, frames []byte) error {
	_, err := c.Write(frames)
	if err == nil && c.OutboundBuffered() > maxUnread {
		err = errors.New("too much is unread")
		_ = c.Close()
	}
	return err
}
