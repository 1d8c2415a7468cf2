package engine

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fanloop-go/fanloop/engine/internal/fanout"
	"github.com/fanloop-go/fanloop/engine/internal/headcount"
	"github.com/fanloop-go/fanloop/handshake"
	"github.com/fanloop-go/fanloop/loop"
)

// Server accepts WebSocket connections on event loops. The zero value works and discards
// what it receives. Set the fields before you call the first method, and do not change
// them afterwards. Any goroutine may call the methods. A method that would wait for the
// callback that calls it returns ErrInCallback instead.
type Server struct {
	// Addr is where ListenAndServe and Run listen: host:port or unix:path. Default:
	// ":8080".
	Addr string

	// TLS encrypts the connections of ListenAndServe, Run, Listen and Serve (wss). nil
	// leaves them plain. Use [ListenOptions] where listeners differ.
	TLS *tls.Config

	// ShouldUpgrade decides whether a request becomes a WebSocket. It returns headers to
	// add to the answer, or nil. To refuse the request, return an error: one made by
	// Reject is sent as it is; any other is logged, and the peer gets 500 without its
	// text. nil accepts every request that Origin allows.
	//
	// It does not apply to the endpoints of Handle: set ShouldUpgrade of each [Endpoint].
	//
	// It runs on the loop that owns the connection, so it runs on several loops at the
	// same time: guard what it shares. It must not block. If it has to, set
	// BlockingUpgrade.
	ShouldUpgrade func(req *Request) (http.Header, error)

	// OnUpgrade is called with the open WebSocket before its first message is delivered.
	// What it sends follows the answer in the same write. It runs on the loop that owns
	// the connection: guard what it shares. You may keep req.
	OnUpgrade func(ws *WebSocket, req *Request)

	// Callbacks are those of every connection that sets none of its own.
	Callbacks Callbacks

	// BlockingUpgrade runs ShouldUpgrade on a pool of goroutines while the loop serves
	// others. Set it if ShouldUpgrade asks a database or a token service, and give those
	// calls [Request.Context]. OnUpgrade stays on the loop.
	//
	// A request waits for a goroutine until Limits.HandshakeTimeout. ShouldUpgrade is not
	// called for a peer that has left. When more requests wait than there are goroutines,
	// the newest is served first. One address gets at most half of the goroutines.
	BlockingUpgrade bool

	// UpgradeWorkers bounds the goroutines of BlockingUpgrade. Default: 128.
	UpgradeWorkers int

	// Origin decides by the Origin header which web pages may connect. nil means
	// handshake.SameHost. Another policy replaces that: handshake.AllowOrigins allows only the
	// origins it lists, so list that of your own pages too. It does not apply to the endpoints
	// of Handle: set Origin of each [Endpoint]. A browser sends its cookies with the request of
	// any page, so do not allow every origin if you authenticate by cookie.
	Origin handshake.OriginPolicy

	// Subprotocols lists the subprotocols of the server, the preferred one first. The
	// first one that the client offers is agreed.
	Subprotocols []string

	// Compression agrees on permessage-deflate (RFC 7692) with clients that offer it. nil
	// declines all offers.
	Compression *Compression

	// Limits bounds what a peer may cost. The zero value means the defaults.
	Limits Limits

	// MaxHandshakes bounds the TLS handshakes that run at the same time. Each takes about
	// 20 KiB, and begins when the whole ClientHello has arrived. Further handshakes queue:
	// when one that runs has waited half a second for its client, that client is dropped
	// and the next handshake begins. Default: 1024.
	MaxHandshakes int

	// Slow is the policy for subscribers that read more slowly than is published. The
	// zero value closes them.
	Slow Slow

	// MaxRetained bounds the retained messages of one topic, in bytes: their frames, their
	// keys, and 100 bytes for each. Default: 1 MiB; NoLimit turns it off.
	//
	// All topics together get at most a quarter of Limits.MaxMemory, as Memory counts it.
	// One retained message is held by one loop, and may take a quarter of the loop's part,
	// which is MaxMemory divided by Loops.
	MaxRetained int

	// Batching delivers busy topics in batches. nil delivers everything at once.
	Batching *Batching

	// Relay carries what is published in topics to other servers, and has Deliver called
	// for what is published there. nil reaches the subscribers of this server only. Package
	// engine/cluster/relay makes one: set it by relay.Join.
	Relay Relay

	// MaySubscribe decides whether a connection may subscribe to a topic. Subscribe
	// returns its error. nil allows every topic.
	//
	// Subscribe calls it each time, on its own goroutine and without a lock. In a callback
	// that goroutine is the loop, so MaySubscribe must not block there. It runs on several
	// goroutines at the same time: guard what it shares. It is not called again for a
	// subscription that exists: call Unsubscribe when a permission ends.
	MaySubscribe func(ws *WebSocket, topic string) error

	// Dispatch runs message callbacks on a pool of goroutines. nil runs them on the loops,
	// which is much cheaper: set it only if callbacks block.
	Dispatch *Dispatch

	// HTTP serves the requests that do not ask for a WebSocket, on the same port, through
	// a net/http server. nil answers them with 426. ServeHTTP and Upgrade do not use it:
	// there, the router serves the pages.
	//
	// Each request of a connection is parsed by the loops first, with the same limits, and
	// any of them may ask for a WebSocket. The body of a request must make progress within
	// Limits.ReadTimeout; otherwise the handler reads ErrReadTimeout. The peer must take
	// the answer within Limits.WriteTimeout. A handler may set deadlines of its own
	// (http.ResponseController). A connection counts for Limits.MaxConnections until it is
	// closed, also after a handler hijacked it.
	HTTP http.Handler

	// ConfigureHTTP is called once with the net/http server behind HTTP, before that
	// serves. Set its timeouts, BaseContext, ConnContext, ConnState, ErrorLog or
	// RegisterOnShutdown there. MaxHeaderBytes is Limits.MaxHead before the call, ErrorLog
	// writes to Logger, and IdleTimeout is one second: then the connection goes back to its
	// loop. The server speaks HTTP/1.1 only. This Server starts and ends it: do not call
	// its methods. It runs on a goroutine of its own, while Listen, or what else starts this
	// Server, waits: methods that start or end it return ErrInCallback here. If it panics or
	// calls runtime.Goexit, Listen returns a *PanicError. nil changes nothing.
	ConfigureHTTP func(srv *http.Server)

	// Logger receives what no method can return to you. Default: slog.Default().
	Logger *slog.Logger

	// Loops is the number of event loops. Default: the value that GOMAXPROCS had before
	// loops raised it.
	Loops int

	// KeepGOMAXPROCS leaves GOMAXPROCS unchanged. By default the server raises it to at
	// least one more than all loops of the process, unless the program or the environment
	// set it: see loop.Config.
	KeepGOMAXPROCS bool

	clock  func() time.Duration // of the loops; tests drive it; nil: the monotonic clock
	budget loop.Cost            // of an iteration of a loop; tests set it; 0: the default
	pace   fanout.Pace          // of flushes; tests set it

	start    sync.Once
	startErr error
	up       atomic.Bool // the loops were started

	configuring atomic.Uint64 // the goroutine that runs ConfigureHTTP; 0: none
	early       earlySettings

	// Immutable once up.
	ctx      context.Context // until the server is ending
	cancel   context.CancelCauseFunc
	settings *settings // of its own endpoint
	service  *service  // that endpoint
	routes   *routes   // guarded by mu before; nil: Handle was not called
	group    *loop.Group
	upgrades *upgradePool
	web      *webSide

	deflated   deflated        // of all endpoints
	conns      headcount.Count // handshakes included
	goroutines goroutines

	upgradeCalls upgradeCalls // on goroutines that are no loops

	badTLS   loop.Throttle // of the log, for connections before their request
	badProxy loop.Throttle
	refusals refusals

	endings causeCounts // of connections that were open

	overloads loop.Throttle // of its lines in the log

	mu        sync.Mutex
	listeners []*Listener
	closing   bool
	drained   chan struct{} // closed when conns falls to 0 while closing
	done      chan struct{} // closed when the loops have ended; nil: not asked for yet
}
