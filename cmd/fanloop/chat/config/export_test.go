package config

import _ "embed"

// DefaultFile is the documented file.
//
//go:embed default.yaml
var DefaultFile []byte
