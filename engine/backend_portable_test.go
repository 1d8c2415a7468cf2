//go:build portable || !(linux || darwin || freebsd)

package engine_test

// portableBackend says that loops use the portable backend.
const portableBackend = true
