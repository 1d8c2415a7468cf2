package loop

import "testing"

// need is what a test needs that the portable backend does not have, as the reason
// why it is skipped there.
type need string

const (
	systemDescriptors need = "it asks the system about a descriptor of a loop, or for a lack of descriptors"
	noAllocations     need = "the goroutines and buffers between a connection and its loop allocate"
	fullSockets       need = "it needs a socket that is full at once and stays so: a goroutine empties it a little later"
	wholeSends        need = "it takes what the peer gets at once for one send of the loop: a goroutine cuts and joins"
	urgentData        need = "package net does not report urgent data"
)

// needs skips a test on the portable backend, which does not have what.
func needs(t *testing.T, what need) {
	t.Helper()
	if portableBackend {
		t.Skip("not on the portable backend: " + string(what))
	}
}
