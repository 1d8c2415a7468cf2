// Package service is one node of the chat: it joins the sessions of clients with the
// topics of the cluster.
//
//	service.go  Service: what a node is made of, its start and its end
//	store.go    opens NATS, in this process or elsewhere
//	capacity.go how full its disk is
//	quorum.go   whether enough servers run to store messages
//	ids.go      ids of publishes belong to users
//	http.go     what the port serves besides WebSockets
//	stream.go   streams: connections by Server-Sent Events and POST
//	forward.go  POSTs that come to another node than the stream
//	cors.go     which pages may post
//	conn.go     conn: a WebSocket with its session; turns, the batch of a turn, the timer
//	accounts.go who users are: tokens, or names in the development mode; revocations
//	registry.go who is connected, by session
//	takeover.go sessions that clients take to another node
//	backend.go  backend: session.Backend for one connection
//	hooks.go    what the company's backend is asked
//	open.go     how a subscription is opened; delivery: session.Delivery
//	passive.go  passive subscriptions
//	plain.go    topics without history, relayed to other nodes
//	history.go  pages, and the authors of messages
//	keyed.go    keyed values, members
//	keys.go     what an operator sees of the keys of tokens
//	markers.go  where markers are stored
//	read.go     how markers move, and who is told; notes of passive subscriptions
//	unread.go   tails: what is counted as unread
//	feed.go     feeds: what a node watches for all subscribers of a topic, once
//	shared.go   frames that go to many: encoded once for each encoding
//	encoder.go  live.Encoder; how messages are stored
//	counts.go   what a node has done; how long it took
//	operate.go  what backends ask of all nodes
//	writes.go   publishes that the store has not answered
//	look.go     what an operator sees by name, counted while somebody looks
//	stats.go    Stats, Ready, Lag: for operators
//	errors.go   what a client gets to know of an error
//	work.go     crew: a bounded number of goroutines for what waits
//
// # Turns
//
// A session belongs to the loop of its WebSocket. Everything that moves it is a turn on
// that loop: a message of the client, the answer to a question (conn.do), a timer. What
// a session sends during a turn is one message at its end.
//
// Nothing waits in a turn. What asks the store, a key or a backend runs on the crew, of
// a fixed size, and comes back as a turn. When the crew has too much to do, the command
// is answered with overloaded.
//
// # Frames for many
//
// Messages come from package live, once for each encoding. Presence and keyed
// values are published to topics of the engine, to which a connection is subscribed in
// the turn that takes the state they follow: a publish reaches it behind that turn, so
// nothing is missing between the two.
package service
