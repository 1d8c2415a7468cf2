// Package hooks asks the company's backend, over HTTP, whether a user may connect,
// subscribe, publish or refresh.
//
// A [Hook] is one of these questions with its URL. [Hook.Ask] waits for the answer and
// is for a goroutine; [Hook.Go] returns at once and calls back, and is for a loop.
// Whatever the backend does, a question is over at its deadline: one that hangs,
// answers later, sends too much or redirects has not answered.
//
// A backend that is slow does not take the service with it. Each hook has a number of
// requests that run at once and a number that wait; what is more is refused. When most
// requests fail, the circuit opens: nothing is asked for a while, then one request
// tries. Questions that are the same and are asked at the same time are asked once.
//
// Without an answer, [Config.Otherwise] decides. Connect and refresh are refused, and
// nothing else can be configured. Users who are refused because of the backend get a
// delay that differs between them, so that they do not come back together.
//
// Requests are signed, so that the backend knows who asks: [Verify] checks them in Go.
package hooks
