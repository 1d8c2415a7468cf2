package service

import (
	"testing"
	"time"

	"github.com/fanloop-go/fanloop/cmd/fanloop/chat/auth"
)

// PriceSends has each send of the nodes that start from now on cost d, until the test ends.
func PriceSends(t *testing.T, d time.Duration) {
	before := sendCost
	sendCost = d
	t.Cleanup(func() { sendCost = before })
}

// AdviceFor is what the log says of a refused token.
func AdviceFor(reason auth.Reason) string { return advice[reason] }
