package config

import _ "embed"

// DefaultFile is a file with every setting at its default, and what it does.
//
//go:embed default.yaml
var DefaultFile []byte
