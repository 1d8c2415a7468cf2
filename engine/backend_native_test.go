//go:build (linux || darwin || freebsd) && !portable

package engine_test

// portableBackend says that loops use the portable backend.
const portableBackend = false
