//go:build !unix

package scenario

import "errors"

// askMemory says that a server cannot be asked for its memory.
func askMemory(int) error {
	return errors.New("there are no signals on this system to ask a server for its memory")
}
