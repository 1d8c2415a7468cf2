package main

import "path/filepath"

func init() { registerNpm("bun", missingNpm, serveBun) }

// serveBun runs npm/bun.js on the Bun whose binary its npm package carries. It
// has one event loop, whatever at.loops says.
func serveBun(at endpoint) error {
	return become(at, filepath.Join("node_modules", "@oven", "bun-*", "bin", "bun"), "bun.js")
}
