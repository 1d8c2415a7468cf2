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
// them afterwards. Any goroutine may call the methods. Those that would wait for the
// callback they are called in return ErrInCallback.
type Server struct {
	// Addr is where ListenAndServe and Run listen, host:port or unix:path. Default:
	// ":8080".
	Addr string

	// TLS, if set, encrypts the connections of ListenAndServe, Run, Listen and Serve (wss).
	// With [ListenOptions] listeners may differ.
	TLS *tls.Config

	// ShouldUpgrade decides whether a request becomes a WebSocket. It returns
	// headers to add to the answer (nil for none), or an error that refuses:
	// one made by Reject is sent as it is, any other is logged and sent as 500
	// without its text.
	// nil accepts everything that Origin allows.
	//
	// It runs on the loop that owns the connection, so on any loop, and on
	// several at the same time: variables it shares with others need a lock or
	// an atomic, or there is a data race. It must not block; if it has to, set
	// BlockingUpgrade.
	ShouldUpgrade func(req *Request) (http.Header, error)

	// OnUpgrade receives the open WebSocket before its first message is
	// delivered; what it sends follows the answer in the same write. It runs on
	// the loop that owns the connection, so on any loop: the warning of
	// ShouldUpgrade holds here too. req may be kept.
	OnUpgrade func(ws *WebSocket, req *Request)

	// Callbacks serve every connection that sets none of its own.
	Callbacks Callbacks

	// BlockingUpgrade runs ShouldUpgrade on a pool of goroutines while the loop goes
	// on, for those that ask a database or a token service; give them
	// [Request.Context]. OnUpgrade stays on the
	// loop. Requests wait for a goroutine until Limits.HandshakeTimeout; those whose
	// peer has left are not asked about, and when more wait than can be asked, the
	// newest is first. One address gets half of the goroutines at most.
	BlockingUpgrade bool

	// UpgradeWorkers is the number of goroutines of BlockingUpgrade at most.
	// Default: 128.
	UpgradeWorkers int

	// Origin decides by the Origin header which web pages may connect. nil
	// means handshake.SameHost. Browsers send cookies along with requests from
	// any page.
	Origin handshake.OriginPolicy

	// Subprotocols are those the server speaks, the preferred one first. The
	// first that the client offers too is agreed.
	Subprotocols []string

	// Compression agrees on permessage-deflate (RFC 7692) with clients that offer
	// it. nil declines all offers.
	Compression *Compression

	// Limits bounds what a peer may cost. The zero value means the defaults.
	Limits Limits

	// MaxHandshakes is how many TLS handshakes run at a time, about 20 KiB each;
	// they begin when a client has sent its ClientHello whole. Default: 1024. More
	// handshakes queue: when one that runs has waited half a second for its
	// client, the client is dropped and the next takes its place.
	MaxHandshakes int

	// Slow says what happens to what is published to subscribers that read too
	// slowly. The zero value closes them.
	Slow Slow

	// MaxRetained is how many bytes the retained messages of one topic may take: their
	// frames and keys, and 100 bytes for each. Default: 1 MiB; NoLimit turns it off.
	//
	// All topics together get a quarter of Limits.MaxMemory at most, of memory as Memory
	// counts it. A message that is retained is held by one loop and may take a quarter
	// of the loop's part: of MaxMemory divided by Loops.
	MaxRetained int

	// Relay takes what is published in topics to other servers, and has Deliver called for
	// what is published there. nil: the subscribers of this server are all there are.
	// Package engine/cluster/relay makes one: set it by relay.Join.
	Relay Relay

	// MaySubscribe decides whether a connection may subscribe to a topic. Its error is
	// what Subscribe returns. nil allows everything.
	//
	// Subscribe calls it first, each time, on its own goroutine and with no lock held:
	// in a callback that is the loop, and MaySubscribe must not block there. It runs on
	// several goroutines at the same time. A subscription that exists is not asked about
	// again: Unsubscribe those whose permission ends.
	MaySubscribe func(ws *WebSocket, topic string) error

	// Dispatch runs message callbacks on a pool of goroutines. nil runs them on
	// the loops, which is much cheaper.
	Dispatch *Dispatch

	// HTTP serves requests that ask for no WebSocket, on the same port, through
	// a net/http server. nil answers them with 426.
	//
	// Every request of a connection passes the parser of this package first, with
	// the same limits, and any of them may be the one that becomes a WebSocket.
	// The body of a request has to arrive within Limits.ReadTimeout, of which the
	// handler gets ErrReadTimeout, and the peer has to take the answer within
	// Limits.WriteTimeout; a handler may set deadlines of its own
	// (http.ResponseController). Connections count for Limits.MaxConnections until
	// they are closed, also those that a handler hijacked.
	HTTP http.Handler

	// ConfigureHTTP is called once, before that net/http server serves HTTP, and may
	// set its fields: timeouts, BaseContext, ConnContext, ConnState, ErrorLog,
	// RegisterOnShutdown. As it comes, MaxHeaderBytes is Limits.MaxHead, a connection
	// goes back to its loop after a second without a request (IdleTimeout), and
	// ErrorLog leads to Logger. It speaks HTTP/1.1 only, and this Server begins and
	// ends it: do not call its methods. nil: as it comes.
	ConfigureHTTP func(srv *http.Server)

	// Logger receives what no method can return to you. Default: slog.Default().
	Logger *slog.Logger

	// Loops is the number of event loops. Default: GOMAXPROCS, as it was before
	// loops raised it.
	Loops int

	// KeepGOMAXPROCS leaves GOMAXPROCS alone. By default it is at least one more
	// than all loops of the process, unless the program or the environment sets
	// it: see loop.Config.
	KeepGOMAXPROCS bool

	clock  func() time.Duration // of the loops; tests drive it; nil: the monotonic clock
	budget loop.Cost            // of an iteration of a loop; tests set it; 0: the default
	pace   fanout.Pace          // of flushes; tests set it

	start    sync.Once
	startErr error
	up       atomic.Bool // the loops were started
	early    earlySettings

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

	badTLS   loop.Throttle // of the log, by peers that are nobody yet
	badProxy loop.Throttle
	refusals refusals

	endings causeCounts // of connections that were open

	overloads loop.Throttle // of what the log hears of that

	mu        sync.Mutex
	listeners []*Listener
	closing   bool
	drained   chan struct{} // closed when conns falls to 0 while closing
	done      chan struct{} // closed when the loops have ended; nil: nobody asked yet
}
