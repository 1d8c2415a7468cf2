//go:build !unix

package cli

import "os"

// notifyUSR1 does nothing: there is no such signal on this system.
func notifyUSR1(chan<- os.Signal) {}
