package main

import (
	"fmt"
	"os/exec"
)

func init() { registerNpm("ws", missingWs, serveWs) }

// serveWs runs npm/server.js on Node.js, with bufferutil beside ws. It has one
// event loop, whatever at.loops says. --expose-gc is for SIGUSR1.
func serveWs(at endpoint) error {
	node, err := exec.LookPath("node")
	if err != nil {
		return err
	}
	return become(at, node, "--expose-gc", "server.js")
}

func missingWs() error {
	if _, err := exec.LookPath("node"); err != nil {
		return fmt.Errorf("%w: install Node.js (node is not in PATH)", errNotAvailable)
	}
	return missingNpm()
}
