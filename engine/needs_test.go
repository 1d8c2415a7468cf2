package engine_test

import "testing"

// need is what a test needs that the portable backend of loop does not have, as the
// reason why it is skipped there.
type need string

const (
	systemDescriptors need = "it asks the system about the descriptor of a connection on a loop"
	noAllocations     need = "the goroutines and buffers between a connection and its loop take memory that is not the engine's"
	fullSockets       need = "it needs a socket that is full at once and stays so: a goroutine empties it a little later"
	promptArrival     need = "what a peer sent has to be there when its loop, or a clock driven by hand, goes on: a goroutine reads it a little later"
	speed             need = "it sends gigabytes, for which the goroutines take a minute"
	endsBehindData    need = "the end of a peer is seen when all that it sent before has been read"
	acknowledgements  need = "what a peer has acknowledged is unknown"
)

// needs skips a test on the portable backend, which does not have what.
func needs(t testing.TB, what need) {
	t.Helper()
	if portableBackend {
		t.Skip("not on the portable backend: " + string(what))
	}
}
