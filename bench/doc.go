// Package bench serves the bench protocol with fanloop, for the harness in the
// packages below it.
//
// The protocol: a server upgrades at any path and echoes every message, text as
// text and binary as binary; a message whose first byte is 'B' goes to every
// connected client instead, the sender included.
//
// A measurement's way: [scenario] starts servers and generators and runs them
// in turn; [load] is the generator, on fanloop's own loops; [report] keeps and
// shows the figures; floor and peers are servers to compare with. [history] is
// apart, for topics that nodes share, and [chat] for a chat service. What the figures
// mean, and what they do not, stands in README.md.
//
// [chat]: https://pkg.go.dev/github.com/fanloop-go/fanloop/bench/chat
// [history]: https://pkg.go.dev/github.com/fanloop-go/fanloop/bench/history
// [scenario]: https://pkg.go.dev/github.com/fanloop-go/fanloop/bench/scenario
// [load]: https://pkg.go.dev/github.com/fanloop-go/fanloop/bench/load
// [report]: https://pkg.go.dev/github.com/fanloop-go/fanloop/bench/report
package bench
