package service

import (
	"testing"
	"time"
)

// PriceSends has each send of the nodes that start from now on cost d, until the test ends.
func PriceSends(t *testing.T, d time.Duration) {
	before := sendCost
	sendCost = d
	t.Cleanup(func() { sendCost = before })
}
