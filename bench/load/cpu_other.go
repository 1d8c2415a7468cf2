//go:build !unix

package load

import "errors"

// ownCPU says that the CPU time of this process is not read here.
func ownCPU() (int64, error) {
	return 0, errors.New("the CPU time of a process is not read on this system")
}
