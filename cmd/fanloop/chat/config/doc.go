// Package config reads the settings of fanloop chat: one YAML file, flags for what
// differs between nodes, and FANLOOP_CHAT_* variables for the flags. A flag wins over
// its variable, that over the file, and the file over the default.
//
// A key that does not exist, is there twice or has a wrong value is an error that names
// the file, the line and the key, and the key that may be meant. All errors of a file
// are reported together. default.yaml has every key with its default and what it does.
package config
